"""What can go wrong when the network's picture is changed or published."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class MembershipError(KeregeError):
    """Any error of this room."""


class NotRegistered(MembershipError):
    code = "membership.not_registered"
    message = "{kind} {name} is not registered in the network."
    hint = "Register it first; the configuration was not changed."


class NothingToDrop(MembershipError):
    code = "membership.nothing_to_drop"
    message = "There is no {kind} {name} in the register."
    hint = "Nothing was changed. `kerege network` and its page show what there is, by the names `drop` takes."


class OtherOwner(MembershipError):
    code = "membership.other_owner"
    message = "The security server {server} already belongs to {owner}, not to {asked}."
    hint = "Register the new server under a name of its own."


class RightInvalid(MembershipError):
    code = "membership.right_invalid"
    message = "The right of {holder} to {data_service} was not granted: {reason}."
    hint = "A right names one subsystem, one data service, a method, a path and an end in the future."


class ContractInvalid(MembershipError):
    code = "membership.contract_invalid"
    message = "The contract for {data_service} {path} was not set: {reason}."
    hint = "A contract names its mapping, where it is applied (provider or consumer), its owner and its legal basis."


class PermitInvalid(MembershipError):
    code = "membership.permit_invalid"
    message = "The permit of {public_service} was not set to {state}: {reason}."
    hint = "Permits are set by the gate: see `kerege gate show {public_service}`."


class PublishFailed(MembershipError):
    code = "membership.publish_failed"
    message = "The configuration could not be published to {folder}: {reason}."
    hint = "Nodes go on with the last configuration until it expires. Mend the cause and publish again."


class PublishHeld(MembershipError):
    code = "membership.publish_held"
    message = "The hub does not publish by itself: {reason}."
    hint = (
        "See to it that the hub has the right database and the right keys. When all is as meant, publish once: "
        "kerege network publish. The hub goes on from there."
    )


class PublishedElsewhere(MembershipError):
    code = "membership.published_elsewhere"
    message = "The configuration is being published by another process ({where})."
    hint = "Wait until it is done; nothing was changed."


class PlanDiffers(MembershipError):
    code = "membership.plan_differs"
    message = "The network plan holds {name}, which the register does not."
    hint = "Register it first, or take it out of the plan."


class EntryInvalid(MembershipError):
    code = "membership.entry_invalid"
    message = "The {kind} {name} was not set: {reason}."
    hint = "Nothing was changed. docs/reference/membership.md lists each kind with its fields."


class EntryHeld(MembershipError):
    code = "membership.entry_held"
    message = "The {kind} {name} was not dropped: something still hangs on it."
    hint = "Drop that first: of a subsystem or server its clients, of a member its subsystems and servers."


class RequestUnfit(MembershipError):
    code = "membership.request_unfit"
    message = "The management request does not fit the register: {reason}."
    hint = "Nothing was changed. `kerege network requests` shows what waits and what was decided."


class KeysMissing(MembershipError):
    code = "membership.keys_missing"
    message = "The configuration cannot be signed: {reason}."
    hint = (
        "A network that runs needs the keys it has: put them back where the message says, from the backup; "
        "KEREGE_CONFIGURATION_PASSPHRASE opens encrypted ones. Only a new network makes keys: `kerege network keys`."
    )


class InstanceOther(MembershipError):
    code = "membership.instance_other"
    message = "The keys in {folder} are of instance {own}, not of {asked}."
    hint = "Nothing was changed. Leave --instance out; another instance has keys and a home folder (KEREGE_HOME) of its own."


class AddressInvalid(MembershipError):
    code = "membership.address_invalid"
    message = "The anchors cannot name {url}: {reason}."
    hint = "Nothing was written. Give the address where nodes reach the hub, such as --url https://cs.example."


class RegisteredAlready(RequestUnfit):
    code = "membership.registered_already"
    message = "What the management request asks for is there: {reason}."
    hint = "Nothing is left to do; nothing was changed."


class AlreadySo(RequestUnfit):
    code = "membership.already_so"
    message = "What the management request asks for is so already: {reason}."
    hint = "Nothing is left to do; nothing was changed."


class RequestNeedless(RequestUnfit):
    code = "membership.request_needless"
    message = "What request {number} asks for is so already: {reason}."
    hint = (
        "It waits all the same, and keeps out others about the same. Decline it: "
        'kerege network decline {number} --by ... --reason "so already".'
    )


class RequestWaits(RequestUnfit):
    code = "membership.request_waits"
    message = "The same is asked for already: request {number} ({kind}) waits for a decision."
    hint = "An operator of the central services decides it; nothing was changed."


class ServerUnregistered(RequestUnfit):
    code = "membership.server_unregistered"
    message = "The server {server} is not registered."
    hint = "Its authCertReg comes first: send this request again when an operator has approved that one."


class RequestUnknown(MembershipError):
    code = "membership.request_unknown"
    message = "There is no management request {number}."
    hint = "`kerege network requests --waiting` lists those that wait for a decision; nothing was changed."


class RightUnknown(MembershipError):
    code = "membership.right_unknown"
    message = "There is no right {right}."
    hint = "`kerege network rights --all` lists them with their identifiers; nothing was changed."
