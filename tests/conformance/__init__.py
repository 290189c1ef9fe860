"""The conformance suite: a test for every normative statement of MQTT 3.1.1 and 5.0 that binds a server."""
