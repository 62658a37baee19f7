"""What can be wrong with a source, or with a description of one: a file, a sheet, a database, a node."""

from __future__ import annotations

from kerege.catalogue.errors.base import CatalogueError


class SourceError(CatalogueError):
    """The source could not be read as it stands; nothing was changed here."""


class SourceMissing(SourceError):
    code = "catalogue.source_missing"
    message = "{source}: there is no such file or table."
    hint = "Check the path. {known}"


class FormatUnknown(SourceError):
    code = "catalogue.format_unknown"
    message = (
        "{source}: this kind of source is not known (databases: PostgreSQL, MySQL, SQLite, DuckDB; files: CSV, TSV, XLSX, ODS, Parquet; "
        "descriptions: OpenAPI, WSDL; node:// for an exchange node)."
    )
    hint = "Rename the file to its true ending, or export it as CSV."


class OptionRefused(SourceError):
    code = "catalogue.option_refused"
    message = "{source}: the option {option} of the address {why}; nothing was connected to."
    hint = "Correct the address. What may stand after its question mark: {known}."


class SourceDown(SourceError):
    code = "catalogue.source_down"
    message = "{source}: the register does not answer ({reason})."
    hint = "The catalogue is as it was. Ask the register's technical owner, then run the same command again."


class SourceRefused(SourceError):
    code = "catalogue.source_refused"
    message = "{source}: the register refuses this account ({reason})."
    hint = "Ask the register's owner for a read-only account with SELECT on its tables."


class SourceSlow(SourceError):
    code = "catalogue.source_slow"
    message = "{source}, table {table}: no answer within {seconds} s; the query was cancelled."
    hint = "The catalogue is as it was. Try outside working hours, or take a smaller sample: --rows 10000."


class FileTruncated(SourceError):
    code = "catalogue.file_truncated"
    message = "{source}, row {row}: this looks like half a file ({reason})."
    hint = "Fetch it again and compare its size with the sender's; nothing of it was taken over."


class RowRagged(SourceError):
    code = "catalogue.row_ragged"
    message = (
        "{source}, row {row}: {found:# cell} where the header has {expected:# column} (last readable column: {column})."
    )
    hint = "Look at that row for an unquoted separator or a line break inside a cell; correct it at the source."


class EncodingWrong(SourceError):
    code = "catalogue.encoding_wrong"
    message = "{source}, row {row}, column {column}: the bytes are not {encoding}."
    hint = "Name the right encoding, for example --encoding {guess}. In a database, correct the cell at the source."


class NotText(SourceError):
    code = "catalogue.not_text"
    message = "{source}, row {row}, column {column}: a {what} character, which no text has."
    hint = "This is no text file, or a damaged one: fetch it again. If it is UTF-16, say so with --encoding utf-16."


class CellTooLarge(SourceError):
    code = "catalogue.cell_too_large"
    message = "{source}, row {row}, column {column}: a cell is larger than {limit} characters."
    hint = "If that is meant, allow it with --max-cell; otherwise look for a missing closing quote or a file stored in a cell."


class HeaderMerged(SourceError):
    code = "catalogue.header_merged"
    message = "{source}, row {row}, column {column}: the header has merged or empty cells, so columns have no names of their own."
    hint = "Say which row holds one name per column with --header-row N, or unmerge the header in the sheet."


class HeaderTwice(SourceError):
    code = "catalogue.header_twice"
    message = "{source}, row {row}: two columns are called {column}."
    hint = "Rename one of them at the source, or choose another header row with --header-row N."


class HeaderIsData(SourceError):
    code = "catalogue.header_is_data"
    message = (
        "{source}, row {row}, column {column}: where a column's name should stand is {what}. It looks like a record."
    )
    hint = "Write the names of the columns into the first row, or say which row holds them: --header-row N."


class HeaderTooWide(SourceError):
    code = "catalogue.header_too_wide"
    message = "{source}, row {row}: it has {columns:# column}, at most {limit} are read."
    hint = (
        "Look whether the separator is the right one (--delimiter). A table that is meant to be so wide can be split."
    )


class SheetBinary(SourceError):
    code = "catalogue.sheet_binary"
    message = (
        "{source}: it is a binary workbook ({kind}) or a workbook under a password; such files are not read, whatever "
        "their name is."
    )
    hint = "Open it in a spreadsheet program, save it as XLSX or ODS without a password, and harvest that file."


class SheetTooWide(SourceError):
    code = "catalogue.sheet_too_wide"
    message = "{source}: a sheet reaches to row {rows} and column {columns}, the sheets to more than {limit} cells; most of them are empty."
    hint = "Delete what stands far outside the table (Ctrl+End shows it), or export the sheet as CSV."


class TableEmpty(SourceError):
    code = "catalogue.table_empty"
    message = "{source}, table {table}: it has no rows{before}."
    hint = (
        "An empty delivery is usually a broken one. If a header without rows is meant, harvest it with --accept-empty."
    )


class ColumnVanished(SourceError):
    code = "catalogue.column_vanished"
    message = "{source}: there is no column {column}. Columns now: {columns}."
    hint = "Check whether it was renamed (kerege suggest shows likely successors), then name the new one."


class KeyDuplicate(SourceError):
    code = "catalogue.key_duplicate"
    message = "{source}, row {row}, column {column}: the same key stands in row {first} already."
    hint = "A key names one record. Correct the source, or name other key columns with --key."


class CodeTwice(SourceError):
    code = "catalogue.code_twice"
    message = "{source}, row {row}, column {column}: this code stands in row {first} already, with another label."
    hint = "If both labels name the same thing (two languages), say so with --merge-labels; otherwise correct the list."


class DescriptionBroken(SourceError):
    code = "catalogue.description_broken"
    message = "{source}, {place}: {reason}."
    hint = "Correct the description where it is made; nothing of it was taken over."


class DescriptionTooLarge(SourceError):
    code = "catalogue.description_too_large"
    message = "{source}, {place}: more than {limit} {what}, which no description of a data service needs."
    hint = "Look whether the file is what it says it is. A description that is meant to be so large can be split by service."


class ReferenceRefused(SourceError):
    code = "catalogue.reference_refused"
    message = (
        "{source}, {place}: it refers to something outside this document ({kind}), and nothing outside is ever fetched."
    )
    hint = "Ask its author for the description in one file (most tools call that bundling), then harvest that one."


class PackageTooLarge(SourceError):
    code = "catalogue.package_too_large"
    message = "{source}: unpacked it would be {unpacked} bytes, {ratio} times its size; it was not unpacked."
    hint = "A register's sheet is some tens of times smaller packed. Ask the sender for CSV, and where this file came from."


class NodeUnreadable(SourceError):
    code = "catalogue.node_unreadable"
    message = "{source}: what the node keeps cannot be read ({reason})."
    hint = "Run this where the node's folder is, under an account that may read it; an encrypted log needs its key."
