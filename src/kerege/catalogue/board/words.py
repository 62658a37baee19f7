"""The words of the board's report, in Kyrgyz, Russian and English. The measures' own words are the country pack's (`board.yaml`)."""

from __future__ import annotations

from typing import Final

from kerege.catalogue.board.rules import Step
from kerege.ground.text import Text, filled

WORDS: Final[dict[str, Text]] = {
    "title": Text(
        "90 күндүк план: критикалык маалымат топтомдору",
        "План на 90 дней: критические наборы данных",
        "The 90-day plan: critical datasets",
    ),
    "day_of": Text("{days} күндүн {day}-күнү", "День {day} из {days}", "Day {day} of {days}"),
    "over": Text("Мөөнөт {days} күн мурун бүттү", "Срок истёк {days} дн. назад", "The time was over {days:# day} ago"),
    "not_begun": Text("План {date} башталат", "План начинается {date}", "The plan begins on {date}"),
    "from_to": Text("{first} – {last}", "{first} – {last}", "{first} to {last}"),
    "begun_by": Text(
        "Баштаган: {by}. Себеби: {reason}", "Начал(а): {by}. Причина: {reason}", "Begun by {by}. Reason: {reason}"
    ),
    "as_of": Text(
        "Эсептелген: {at} (Бишкек убактысы)", "Посчитано: {at} (время Бишкека)", "Counted: {at} (Bishkek time)"
    ),
    "own_facts": Text(
        "Ар бир сан платформанын өз фактыларынан эсептелди; бири да кол менен киргизилген эмес.",
        "Каждое число посчитано по фактам самой платформы; ни одно не введено вручную.",
        "Every count comes from the platform's own facts; none was typed in.",
    ),
    "together": Text("Жалпысынан", "В целом", "All together"),
    "measure": Text("Көрсөткүч", "Показатель", "Measure"),
    "done": Text("Аткарылды", "Сделано", "Done"),
    "datasets_complete": Text("Бүткөн топтомдор", "Готовые наборы", "Datasets complete"),
    "complete_from": Text("Бүттү деп эсептелет", "Считается готовым от", "Complete from"),
    "what": Text("Эмне эсептелет", "Что считается", "What is counted"),
    "complete_all": Text(
        "Толугу менен бүткөн топтомдор: {of} ичинен {done}",
        "Полностью готовых наборов: {done} из {of}",
        "Complete in everything: {done} of {of:# dataset}",
    ),
    "pace": Text("Ылдамдык", "Темп", "Pace"),
    "pace_needed": Text("Керектүү: күнүнө {n}", "Нужно: {n} в день", "Needed: {n} a day"),
    "pace_nothing": Text("Баары аткарылды", "Всё сделано", "Everything is done"),
    "pace_over": Text(
        "Мөөнөт бүттү, {n} иш калды", "Срок истёк, осталось дел: {n}", "The time is over; left: {n:# thing}"
    ),
    "pace_seen": Text(
        "Акыркы эки жумада: күнүнө {n}", "За последние две недели: {n} в день", "In the last two weeks: {n} a day"
    ),
    "pace_unknown": Text(
        "Азырынча белгисиз: мурунку күндөрдүн эсеби жок",
        "Пока неизвестно: нет подсчёта за прошлые дни",
        "Not yet known: there is no snapshot of an earlier day",
    ),
    "enough": Text("Жетиштүү", "Достаточно", "Enough"),
    "too_slow": Text("Жетишсиз", "Недостаточно", "Too slow"),
    "datasets": Text("Топтомдор", "Наборы", "Datasets"),
    "dataset": Text("Топтом", "Набор", "Dataset"),
    "organisation": Text("Уюм", "Организация", "Organisation"),
    "critical_because": Text(
        "Критикалык, анткени: {reason} ({by})",
        "Критический, потому что: {reason} ({by})",
        "Critical because: {reason} ({by})",
    ),
    "next": Text("Эмне кылуу керек", "Что сделать дальше", "What to do next"),
    "nothing_next": Text("Эч нерсе калган жок", "Ничего не осталось", "Nothing is left"),
    "no_datasets": Text(
        "Азырынча бир дагы топтом критикалык деп белгиленген эмес.",
        "Пока ни один набор не отмечен как критический.",
        "No dataset is marked critical yet.",
    ),
    "interim_of": Text("анын ичинен убактылуу: {n}", "из них временно: {n}", "of them in the interim: {n}"),
    "interims": Text("Убактылуу ээлердин мөөнөтү", "Сроки временных владельцев", "Terms of interim owners"),
    "ran_out": Text("мөөнөтү {n} күн мурун бүттү", "срок истёк {n} дн. назад", "ran out {n:# day} ago"),
    "ends_soon": Text("мөөнөтү {n} күндөн кийин бүтөт", "срок истекает через {n} дн.", "ends in {n:# day}"),
    "names_lasting": Text(
        "туруктуу ээсин {who} дайындашы керек",
        "постоянного владельца назначает {who}",
        "{who} must name the lasting owner",
    ),
    "history": Text("Күндөр боюнча", "По дням", "Day by day"),
    "chart": Text(
        "Аткарылган иштер күндөр боюнча; сандар төмөнкү таблицада",
        "Сделано по дням; числа в таблице ниже",
        "Things done by day; the figures are in the table below",
    ),
    "date": Text("Күнү", "Дата", "Date"),
    "of": Text("{total} ичинен {done}", "{done} из {total}", "{done} of {total}"),
    "yes": Text("бүттү", "готово", "complete"),
    "no": Text("бүтө элек", "не готово", "not complete"),
    "waits": Text("адегенде түшүнүктөрү көрсөтүлсүн", "сначала указать понятия", "once the concepts are known"),
    "open_codes": Text("ачык коддор: {n}", "открытых кодов: {n}", "open codes: {n}"),
    "findings": Text("Ачык кемчиликтер: {n}", "Открытых замечаний: {n}", "Open findings: {n}"),
    "signature": Text("Кол тамгасы жана күнү", "Подпись и дата", "Signature and date"),
}

STEPS: Final[dict[str, Text]] = {
    "harvest": Text(
        "Реестрди окуу: каталог анын бир да талаасын билбейт",
        "Прочитать реестр: каталог не знает ни одного его поля",
        "Harvest the register: the catalogue knows none of its fields",
    ),
    "own": Text("Ээсин дайындоо: {columns}", "Назначить владельца: {columns}", "Name an owner: {columns}"),
    "map": Text("Түшүнүгүн көрсөтүү: {columns}", "Указать понятие: {columns}", "Say what it means: {columns}"),
    "tell-codes": Text(
        "Коддорун ээсинин уруксаты менен көрсөтүү: {columns}",
        "Показать коды с разрешения владельца: {columns}",
        "Have its codes told, with the owner's leave: {columns}",
    ),
    "harmonise": Text(
        "Коддорун жалпы тизмеге которуу: {columns}",
        "Перевести коды в общий справочник: {columns}",
        "Place its codes in the common list: {columns}",
    ),
    "document": Text("Сүрөттөө: {columns}", "Описать: {columns}", "Describe it: {columns}"),
    "name-lasting": Text(
        "Туруктуу ээсин дайындоо: {columns}",
        "Назначить постоянного владельца: {columns}",
        "Name the lasting owner: {columns}",
    ),
    "submit": Text("Жазууну бекитүүгө берүү", "Подать запись на утверждение", "Submit the entry for approval"),
    "approve": Text(
        "Жазууну бекитүү (башка адам)", "Утвердить запись (другой человек)", "Approve the entry (another person)"
    ),
    "publish": Text("Жазууну жарыялоо", "Опубликовать запись", "Publish the entry"),
}


def say(key: str, language: str, **values: object) -> str:
    """A wording with its values."""
    return filled(WORDS[key].in_(language), values)


def step_text(step: Step, language: str, most: int = 8) -> str:
    """What a step asks for; of many columns the first ones and how many more."""
    columns = step.columns
    named = ", ".join(columns[:most]) + (f" … (+{len(columns) - most})" if len(columns) > most else "")
    told = STEPS[step.kind].in_(language).format(columns=named).rstrip().removesuffix(":")
    return told + (f" ({say('open_codes', language, n=step.open)})" if step.open else "")
