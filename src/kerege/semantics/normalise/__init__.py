"""Values people write in many ways, in one form: names, addresses and places, dates, telephones, codes."""
