"""Who a client is (`authenticator`, `chain`, `scram`, `passwords`, `users`) and what it may do (`authorizer`, `rules`)."""
