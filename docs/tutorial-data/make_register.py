"""The office programme of the sample's health service: the same certificates in a SQLite database of its own."""

import csv
import sqlite3

with open("certificates.csv", encoding="utf-8", newline="") as file:
    rows = list(csv.reader(file))
database = sqlite3.connect("spravki.sqlite3")
columns = ", ".join(f"{name} TEXT NOT NULL" for name in rows[0])
database.execute(f"CREATE TABLE vaccinations ({columns}, PRIMARY KEY (N_SPR))")
places = ", ".join("?" * len(rows[0]))
database.executemany(f"INSERT INTO vaccinations VALUES ({places})", rows[1:])  # noqa: S608 - nothing but question marks
database.commit()
