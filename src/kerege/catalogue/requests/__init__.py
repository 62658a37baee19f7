"""A register's four requests (establish, take into use, modify, close), as RIHA has them: `rules` and `card` are pure, `doings` acts."""
