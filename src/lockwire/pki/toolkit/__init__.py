"""Any file with certificates or keys: `inspect`, `convert`, `check`; `chain` asks a server for its own."""
