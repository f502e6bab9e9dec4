"""Cases alike: neighbors over hidden layers."""
