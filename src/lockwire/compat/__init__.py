"""Other systems' files, read: what people bring along from the broker that they have."""
