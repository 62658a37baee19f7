"""Errors of the semantics engine: files that cannot be read, packs that do not hang together.

A bad *value* inside a record is never an exception: it is a `Problem` on that record (see `problems`). These errors are for what
stops a whole file, mapping or pack. None of them carries a value from a record, only file, row, field and codes of lists.
"""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class SemanticsError(KeregeError):
    """Base of this room's errors, only for `except`."""


class CodeListInvalid(SemanticsError):
    code = "semantics.codelist_invalid"
    message = "{file}: not a usable code list: {reason}."
    hint = "Correct the file and check it with: kerege codelist check {file}"


class CodeListUnknown(SemanticsError):
    code = "semantics.codelist_unknown"
    message = "No code list has the id {id}; known: {known}."
    hint = "Name one of the known lists, or add the list to the country pack's codelists folder."


class CrosswalkInvalid(SemanticsError):
    code = "semantics.crosswalk_invalid"
    message = "{file}, line {line}: not a usable SSSOM crosswalk: {reason}."
    hint = "Correct the line; the columns and header fields are listed in docs/reference/semantics.md."


class CrosswalkUnknown(SemanticsError):
    code = "semantics.crosswalk_unknown"
    message = "No crosswalk has the id {id}; known: {known}."
    hint = "Name one of the known crosswalks, or add it to the country pack's crosswalks folder or the overlay."


class GazetteerInvalid(SemanticsError):
    code = "semantics.gazetteer_invalid"
    message = "{file}, row {row}: not a usable place: {reason}."
    hint = "The columns are soate, level, parent and the names; correct the row and load again."


class MappingInvalid(SemanticsError):
    code = "semantics.mapping_invalid"
    message = "{file}: field {field}: {reason}."
    hint = "The operators and their arguments are listed in docs/reference/semantics.md."


class MappingUnknown(SemanticsError):
    code = "semantics.mapping_unknown"
    message = "No mapping has the id {id}; known: {known}."
    hint = "Name one of the known mappings, or add the mapping to the country pack's mappings folder."


class PackInvalid(SemanticsError):
    code = "semantics.pack_invalid"
    message = "The country pack {folder} cannot be loaded: {reason}."
    hint = "Correct the file named; check the pack with: kerege codelist check"


class PayloadBroken(SemanticsError):
    code = "semantics.payload_broken"
    message = "The payload is not readable {format}: {reason} (near {where})."
    hint = "Ask the provider to send it again; nothing of it was taken over."


class PayloadIncomplete(SemanticsError):
    code = "semantics.payload_incomplete"
    message = "The payload is half a file: {reason}."
    hint = "Fetch it again; nothing of it was taken over. If it stays so, tell the provider."


class PayloadEncoding(SemanticsError):
    code = "semantics.payload_encoding"
    message = "The payload should be {expected} text; byte {offset} cannot be that."
    hint = "Tell the provider which encoding is agreed, or correct `encoding` in the mapping's source section."


class PayloadColumns(SemanticsError):
    code = "semantics.payload_columns"
    message = "The payload's columns are not the agreed ones: {reason}."
    hint = "Compare with the mapping {mapping}; if the provider changed its format, the mapping needs a new version."


class PayloadRefused(SemanticsError):
    code = "semantics.payload_refused"
    message = "The payload was refused: {reason} (record {record}, field {field})."
    hint = "Nothing of it was taken over. The limits are listed in docs/reference/semantics.md."


class DateInvalid(SemanticsError):
    code = "semantics.date_invalid"
    message = "A date in one of the formats {formats} was expected; what came is none."
    hint = "Correct the date; the formats are listed in docs/reference/semantics.md."


class PinInvalid(SemanticsError):
    code = "semantics.pin_invalid"
    message = "A personal identification number of 14 digits was expected: {reason}."
    hint = "Compare with the document; a number is never corrected by guess."


class OkpoInvalid(SemanticsError):
    code = "semantics.okpo_invalid"
    message = "An OKPO code of 8 or 10 digits with its check digit was expected: {reason}."
    hint = "Compare with the organisation's registration."


class PhoneInvalid(SemanticsError):
    code = "semantics.phone_invalid"
    message = "A telephone number was expected; what came cannot be dialled."
    hint = "Write it with the country code, for example +996 and nine digits."


class TableInvalid(SemanticsError):
    code = "semantics.table_invalid"
    message = "The table {table} cannot be mapped with {mapping}: {reason}."
    hint = "Compare the table's columns with the mapping's source fields."


class CrosswalkTwice(SemanticsError):
    code = "semantics.crosswalk_twice"
    message = (
        "{crosswalk}: the code {code_given} is mapped twice: row {first} says {first_target} ({first_when}), "
        "row {second} says {second_target} ({second_when}); {more} more such codes or pairs."
    )
    hint = "Give the rows validity dates or conditions that exclude each other, or remove one; look at all with: kerege crosswalk check FILE"


class ContractInvalid(SemanticsError):
    code = "semantics.contract_invalid"
    message = "{file}: not a usable data contract: {where}: {reason}."
    hint = "Correct the contract; what is read of the standard is listed in docs/reference/contracts.md. Check it with: kerege contract check {file}"


class ContractRefused(SemanticsError):
    code = "semantics.contract_refused"
    message = "{file}: the contract was not read: {reason}."
    hint = "A contract is one YAML or JSON document within the limits of docs/reference/contracts.md; nothing of it was taken over."


class ContractUnrunnable(SemanticsError):
    code = "semantics.contract_unrunnable"
    message = "The contract {contract} cannot be held against data: {reason}."
    hint = (
        "Correct the rule named, or mend what it refers to; kerege contract show lists every rule with where it runs."
    )


class CodeListTooLarge(SemanticsError):
    code = "semantics.codelist_too_large"
    message = "{file}: this is no code list: {found} came, up to {limit} are read."
    hint = "A register's own column is not a code list; harvest it instead, and name its codes. Nothing was taken over."


class EngineMissing(SemanticsError):
    code = "semantics.engine_missing"
    message = "The engine {engine} cannot run here: {needs} is needed."
    hint = "Give what is missing, or map with another engine: python, duckdb and polars are always there."


class RecodeIncomplete(SemanticsError):
    code = "semantics.recode_incomplete"
    message = "The crosswalk {crosswalk} cannot be used like this: {reason}."
    hint = "Name the field with the record's date in `as_of` and the cells the rows depend on in `given`."


class QuestionUnreadable(SemanticsError):
    code = "semantics.question_unreadable"
    message = "The question cannot be read: at character {at}, {expected} was expected."
    hint = "Write conditions as field=value, field in (a, b) or field from A to B, with and, or and brackets; quote a value with blanks."
