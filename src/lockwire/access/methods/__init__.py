"""How clients prove who they are: `chain` asks a listener's methods in turn, each of which is in `single`."""
