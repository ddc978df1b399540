"""What a user can ask for besides reconciling: status, doctor, audit, registry."""
