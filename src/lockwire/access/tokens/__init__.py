"""JSON Web Tokens: `verifier` judges one."""
