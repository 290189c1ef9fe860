"""The certificate authority: `authority` issues, `server` keeps the broker's own certificate fit for use."""
