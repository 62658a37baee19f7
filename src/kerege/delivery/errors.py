"""What can go wrong on the way to a permit."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class DeliveryError(KeregeError):
    """Any error of this room."""


class GateFileInvalid(DeliveryError):
    code = "delivery.gate_file_invalid"
    message = "{file}, {where}: expected {expected}."
    hint = "Correct the file; the gate in force was not changed."


class CriterionChanged(DeliveryError):
    code = "delivery.criterion_changed"
    message = "The criterion {criterion} version {version} says something else than when it was adopted."
    hint = "A changed criterion is a new version: raise its version and adopt the gate again."


class LooserUnsigned(DeliveryError):
    code = "delivery.looser_unsigned"
    message = "The new edition of {gate} is looser ({what}) and lacks the signature of {missing}."
    hint = "Both owners sign an easing, or the criterion stays as it was."


class OwnersInvalid(DeliveryError):
    code = "delivery.owners_invalid"
    message = "{public_service} was not registered: {reason}."
    hint = "One policy owner, one technical owner, a deputy for each: four different people."


class NotThere(DeliveryError):
    code = "delivery.not_there"
    message = "There is no {kind} {name}."
    hint = "Register it first. The demo (`kerege demo`) registers grade1-admission with its gate."


class EvidenceRefused(DeliveryError):
    code = "delivery.evidence_refused"
    message = "Evidence for {criterion} was not recorded: {reason}."
    hint = (
        "Evidence names its criterion, the release it is about, a window that has ended and who or what collected it."
    )


class WaiverRefused(DeliveryError):
    code = "delivery.waiver_refused"
    message = "{criterion} was not waived: {reason}."
    hint = (
        "Privacy, security and legal criteria cannot be waived; others need two layers, a control in place and an end."
    )


class SignatureRefused(DeliveryError):
    code = "delivery.signature_refused"
    message = "{person} may not sign {assessment} for {layer}: {reason}."
    hint = "Each layer is signed by its own named person, who did not collect what is being signed."


class PermitRefused(DeliveryError):
    code = "delivery.permit_refused"
    message = "No permit for {public_service}: {reason}."
    hint = "See `kerege gate show {public_service}` for what is missing."
