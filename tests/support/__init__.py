"""What the tests share: a wire client, a broker to talk to."""
