"""Our file formats: desired state, policy, export and report. Nothing here talks to anybody."""
