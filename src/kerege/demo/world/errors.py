"""What the demo's world refuses, and what to do about it."""

from __future__ import annotations

from kerege.ground.errors import KeregeError


class WorldError(KeregeError):
    """Base of the demo world's errors."""


class DirtFileBroken(WorldError):
    code = "demo.dirt_file_broken"
    message = "{file}: expected a YAML mapping with the keys version, dirt and cases, got {got}."
    hint = "Start from the shipped file src/kerege/demo/dirt.yaml and change rates only."


class DirtKeyUnknown(WorldError):
    code = "demo.dirt_key_unknown"
    message = "{file}: unknown key {key!r} under {under}; known: {known}."
    hint = "Correct the key, or remove it: see docs/reference/demo-dirt.md."


class DirtRateWrong(WorldError):
    code = "demo.dirt_rate_wrong"
    message = "{file}: {key} must be a number from 0 to 1, got {got}."
    hint = "Write a share, not a percentage: 0.05 is five of a hundred."


class TooFewPeople(WorldError):
    code = "demo.too_few_people"
    message = "{applications} applications need about {needed} people, but only {persons} were asked for."
    hint = "Ask for fewer applications, or for {needed} people or more."


class AreaFileBroken(WorldError):
    code = "demo.area_file_broken"
    message = "{file}, row {row}, column {column}: {problem}."
    hint = "Expected the columns id, name_ru, soate, level, parent_id; without the file the demo uses districts only."


class TruthInReach(WorldError):
    code = "demo.truth_in_reach"
    message = "The truth may not be written to {folder}: an agency can read there."
    hint = "Choose a folder of its own, outside the agencies' folders."
