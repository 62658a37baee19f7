"""Why a verdict is what it is: stable codes, each with a sentence a citizen or officer can read.

The same codes come out of the browser verifier (web/static/kerege/verify.js).
"""

from __future__ import annotations

from typing import Final

from kerege.ground.text import Text

STATES: Final[dict[str, Text]] = {
    "valid": Text(ky="Жарактуу", ru="Действителен", en="Valid"),
    "revoked": Text(ky="Жокко чыгарылган", ru="Отозван", en="Revoked"),
    "unknown": Text(
        ky="Абалы текшерилген жок",
        ru="Статус не проверен",
        en="Status not checked",
    ),
    "refused": Text(ky="Кабыл алынбайт", ru="Не принят", en="Refused"),
}

REASONS: Final[dict[str, Text]] = {
    "credentials.format_unknown": Text(
        ky="Бул текст биз текшере турган документ эмес.",
        ru="Этот текст не является документом, который мы умеем проверять.",
        en="This text is not a document we can check.",
    ),
    "credentials.malformed": Text(
        ky="Документ бузулган: анын түзүлүшү туура эмес.",
        ru="Документ повреждён: его строение неверно.",
        en="The document is damaged: its structure is wrong.",
    ),
    "credentials.too_large": Text(
        ky="Бул документ үчүн өтө чоң.",
        ru="Слишком велик для документа.",
        en="Too large to be a document.",
    ),
    "credentials.alg_refused": Text(
        ky="Колтамганын түрү кабыл алынбайт.",
        ru="Такой вид подписи не принимается.",
        en="This kind of signature is not accepted.",
    ),
    "credentials.type_mismatch": Text(
        ky="Бул башка түрдөгү документ, мындай колдонууга арналган эмес.",
        ru="Это документ другого вида, не предназначенный для такой проверки.",
        en="This is another kind of document, not made for this use.",
    ),
    "credentials.signature_false": Text(
        ky="Колтамга туура эмес: документ өзгөртүлгөн же жасалма.",
        ru="Подпись неверна: документ изменён или подделан.",
        en="The signature is false: the document was changed or forged.",
    ),
    "credentials.issuer_unknown": Text(
        ky="Документти берген уюм ишенимдүүлөрдүн тизмесинде жок.",
        ru="Выдавшего документ нет в списке доверенных.",
        en="Who issued this is not on the trust list.",
    ),
    "credentials.issuer_not_allowed": Text(
        ky="Бул уюм мындай документти бере албайт.",
        ru="Эта организация не вправе выдавать такой документ.",
        en="This issuer may not issue this type of document.",
    ),
    "credentials.certificate_refused": Text(
        ky="Документти бергендин сертификаты жараксыз.",
        ru="Сертификат выдавшего документ недействителен.",
        en="The issuer's certificate is not acceptable.",
    ),
    "credentials.expired": Text(
        ky="Документтин мөөнөтү бүткөн.",
        ru="Срок действия документа истёк.",
        en="The document has expired.",
    ),
    "credentials.not_yet_valid": Text(
        ky="Документтин мөөнөтү али баштала элек.",
        ru="Срок действия документа ещё не начался.",
        en="The document is not valid yet.",
    ),
    "credentials.disclosure_refused": Text(
        ky="Көрсөтүлгөн маалымат документтеги маалыматка дал келбейт.",
        ru="Раскрытые сведения не соответствуют документу.",
        en="The disclosed details do not belong to the document.",
    ),
    "credentials.holder_proof_missing": Text(
        ky="Көрсөтүүчү документ өзүнүкү экенин далилдеген жок.",
        ru="Предъявитель не доказал, что документ его.",
        en="The bearer did not prove that the document is theirs.",
    ),
    "credentials.holder_proof_false": Text(
        ky="Көрсөтүүчүнүн далили туура эмес.",
        ru="Доказательство предъявителя неверно.",
        en="The bearer's proof is false.",
    ),
    "credentials.holder_proof_unexpected": Text(
        ky="Бул документ башка текшерүүчүгө көрсөтүлгөн.",
        ru="Этот документ был предъявлен другому проверяющему.",
        en="This was shown to another verifier.",
    ),
    "credentials.revoked": Text(
        ky="Документти берген уюм аны жокко чыгарган.",
        ru="Документ отозван тем, кто его выдал.",
        en="The issuer has revoked the document.",
    ),
    "credentials.no_status": Text(
        ky="Бул документти жокко чыгаруу каралган эмес; анын мөөнөтү гана текшерилди.",
        ru="Отзыв этого документа не предусмотрен; проверен только срок.",
        en="This document cannot be revoked; only its dates were checked.",
    ),
    "credentials.status_missing": Text(
        ky="Жокко чыгарылгандардын тизмеси жок, ошондуктан жокко чыгарылганы белгисиз.",
        ru="Нет списка отозванных, поэтому неизвестно, отозван ли документ.",
        en="There is no status list at hand, so it is not known whether it was revoked.",
    ),
    "credentials.status_stale": Text(
        ky="Жокко чыгарылгандардын тизмеси эскирген.",
        ru="Список отозванных устарел.",
        en="The status list is out of date.",
    ),
    "credentials.status_forged": Text(
        ky="Жокко чыгарылгандардын тизмеси жасалма же башканыкы.",
        ru="Список отозванных подделан или принадлежит другому.",
        en="The status list is forged or not the issuer's.",
    ),
    "credentials.status_index_outside": Text(
        ky="Документ жокко чыгарылгандардын тизмесинде каралган эмес.",
        ru="Список отозванных не охватывает этот документ.",
        en="The status list does not cover this document.",
    ),
}
