"""What several tuners are made of: models, searches over the unit cube, brackets, failures."""
