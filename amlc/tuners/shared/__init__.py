"""What several tuners are made of: models and searches over the unit cube, brackets, and what failures teach."""
