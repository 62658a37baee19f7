"""What is refused of what people do: plans, owners, sources of truth, life cycle, a register's requests, the board."""

from __future__ import annotations

from kerege.catalogue.errors.base import CatalogueError


class PlanUnknown(CatalogueError):
    code = "catalogue.plan_unknown"
    message = "There is no plan {plan}."
    hint = "List the open plans with: kerege harvest --list."


class PlanDone(CatalogueError):
    code = "catalogue.plan_done"
    message = "The plan {plan} is {status} already."
    hint = "Make a new one with: kerege harvest SOURCE --plan."


class PlanStale(CatalogueError):
    code = "catalogue.plan_stale"
    message = "{plan} was made from what {source} was then; {what} changed since. Nothing was applied."
    hint = "Look at the difference with a new plan: kerege harvest {source} --plan."


class OwnerTaken(CatalogueError):
    code = "catalogue.owner_taken"
    message = "The attribute {attribute} has an owner already: {owner}."
    hint = "An attribute has one owner. Let that owner hand it over, naming the legal basis, before another is named."


class SourceOfTruthTaken(CatalogueError):
    code = "catalogue.source_of_truth_taken"
    message = "The concept {concept} has a source of truth already: {dataset}, column {column}."
    hint = "A concept has one. End the old declaration with its legal basis before making a new one."


class DatasetUnknown(CatalogueError):
    code = "catalogue.dataset_unknown"
    message = "The catalogue holds no {what} {name}."
    hint = "Harvest it first: kerege harvest SOURCE --plan."


class LegalBasisMissing(CatalogueError):
    code = "catalogue.legal_basis_missing"
    message = "Naming {what} needs its legal basis, and none came."
    hint = "Name the act and article with --legal-basis."


class LifecycleRefused(CatalogueError):
    code = "catalogue.lifecycle_refused"
    message = "{subject} is {state}; the action {action} was refused: {why}."
    hint = "Allowed now: {allowed}."


class FourEyes(CatalogueError):
    code = "catalogue.four_eyes"
    message = "{subject}: {by} {did} it and may not approve it as well."
    hint = "Somebody else must approve it or return it. Allowed for {by} now: {allowed}."


class LifecycleBlocked(CatalogueError):
    code = "catalogue.lifecycle_blocked"
    message = "{subject}: the action {action} is not possible yet: {reasons}."
    hint = "Settle what is named, then do the same again; nothing was changed."


class LifecycleBreaks(CatalogueError):
    code = "catalogue.lifecycle_breaks"
    message = "{subject}: the action {action} would break what rests on it: {reasons}."
    hint = (
        "Publish what follows it first, or together with it (--with), or accept what breaks and say why (--accept);"
        " nothing was changed."
    )


class LifecycleRaced(CatalogueError):
    code = "catalogue.lifecycle_raced"
    message = "{subject}: at this moment {by} did {action}; it is {state} now, and nothing else was done."
    hint = "Look at it again, then decide anew."


class ActionIncomplete(CatalogueError):
    code = "catalogue.action_incomplete"
    message = "The action {action} on {subject} has no valid {field}; expected {expected}."
    hint = "Say it and do the same again; nothing was changed."


class HandOverRefused(CatalogueError):
    code = "catalogue.hand_over_refused"
    message = "{by} may not hand over the attribute {attribute}, which {owner} owns."
    hint = "Only {may} may hand it over, naming the legal basis."


class UnownedAlready(CatalogueError):
    code = "catalogue.unowned_already"
    message = "The {what} has no {thing} now."
    hint = "Look at its history with kerege owner show; name the next one with kerege owner name (or kerege truth declare)."


class InterimInvalid(CatalogueError):
    code = "catalogue.interim_invalid"
    message = "An interim owner of {attribute} was not named: {what} was given, expected {expected}."
    hint = "An interim owner has an end, and somebody who must name the lasting one: --until DAY --names-lasting WHO."


class OwnershipIncomplete(CatalogueError):
    code = "catalogue.ownership_incomplete"
    message = "The {field} is missing or longer than {most} characters."
    hint = "Say it in 1 to {most} characters; nothing was changed."


class AttributesNotChosen(CatalogueError):
    code = "catalogue.attributes_not_chosen"
    message = "No attribute of {dataset} was chosen, so nobody was named for any."
    hint = "Tick the attributes that the owner answers for; to name one for all of them, tick them all."


class RolesBroken(CatalogueError):
    code = "catalogue.roles_broken"
    message = "{file}, {where}: {reason}."
    hint = "The file belongs to the country pack: put back its last good version, or correct the entry that is named."


class RequestRefused(CatalogueError):
    code = "catalogue.request_refused"
    message = "The request to {kind} the register {register} was not made: {reasons}."
    hint = "Settle what is named and ask again; see kerege register show."


class ReviewRefused(CatalogueError):
    code = "catalogue.review_refused"
    message = "{by} did not decide on {request}: {why}."
    hint = "Look at it with kerege register show; a decision is made once per role, by somebody who did not ask."


class RequestUnknown(CatalogueError):
    code = "catalogue.request_unknown"
    message = "There is no request {request}."
    hint = "List the registers and their requests with: kerege register show."


class ReasonNamesPerson(CatalogueError):
    code = "catalogue.reason_names_person"
    message = "The {field} is kept for ever and has {what} in it; nothing was kept."
    hint = "Say why without numbers or names of persons."


class BoardInvalid(CatalogueError):
    code = "catalogue.board_invalid"
    message = "The board: {what} was there, expected {expected}."
    hint = "See kerege board --help and docs/how-to/ninety-days.md; nothing was changed."
