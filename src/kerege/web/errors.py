"""What the hub refuses on purpose."""

from kerege.ground.errors import KeregeError


class PeopleFileInvalid(KeregeError):
    code = "web.people_file_invalid"
    message = "{file}, person {position}: {expected}."
    hint = "Correct the file, or delete it: without it the demonstration sign-in is off and nobody can sign in."


class SummaryInvalid(KeregeError):
    code = "web.summary_invalid"
    message = "{file} is not a run summary: {expected}."
    hint = "Run `kerege demo` again; it writes the file anew. Until then the home page shows no figures."


class SecretTooShort(KeregeError):
    code = "web.secret_too_short"
    message = "{file} should hold at least {least} characters, it holds {length}."
    hint = "Delete the file; `kerege hub` writes a new one (everybody has to sign in again)."


class SecretExposed(KeregeError):
    code = "web.secret_exposed"
    message = "{file} may be read by others on this machine (mode {mode}, expected 0600)."
    hint = "If nobody read it: chmod 600 {file}. If in doubt delete it; `kerege hub` writes a new one."


class HomeExposed(KeregeError):
    code = "web.home_exposed"
    message = "The home folder {folder} may be read by others on this machine (mode {mode}, expected 0700): {reason}."
    hint = "Name another folder in KEREGE_HOME, or have its owner run: chmod 700 {folder}."


class HomeUnusable(KeregeError):
    code = "web.home_unusable"
    message = "The home folder {folder} cannot be used by {user}: {reason}."
    hint = (
        "Run the command as the user the home belongs to, or name in KEREGE_HOME a folder of {user}'s own, made by: "
        "sudo install -d -m 700 -o {user} {make}."
    )


class DatabaseUnreadable(KeregeError):
    code = "web.database_unreadable"
    message = "{user} may not read and write the database {file}; it belongs to {owner}."
    hint = "Run the command as {owner}; if another user's command made the file by mistake: sudo chown {user} {file}."


class PortTaken(KeregeError):
    code = "web.port_taken"
    message = "The hub cannot listen on {host}:{port}: {reason}."
    hint = "Name another port with --port."
