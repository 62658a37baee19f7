"""What can go wrong in the demo."""

from kerege.ground.errors import KeregeError


class ProcessDidNotStart(KeregeError):
    code = "demo.process_did_not_start"
    message = "The demo's process {name} ended or stayed silent before it was ready."
    hint = "Its log says why: {log}"


class FolderNotOurs(KeregeError):
    code = "demo.folder_not_ours"
    message = "The folder {folder} is not empty and was not made by `kerege demo`; nothing in it was touched."
    hint = "Name an empty or new folder with --folder."


class FolderInUse(KeregeError):
    code = "demo.folder_in_use"
    message = "Another `kerege demo` is running in {folder}; nothing in it was touched."
    hint = "Stop that one first, or name another folder with --folder."
