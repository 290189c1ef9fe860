"""The benchmark: Lockwire and Mosquitto side by side on this machine. `python -m bench --help`."""
