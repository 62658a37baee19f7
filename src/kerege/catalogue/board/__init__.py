"""The 90-day board: `facts` are counted from the platform, `rules` make a board of them, `report` prints it."""
