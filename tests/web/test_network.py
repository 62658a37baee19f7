"""The network page tells an operator what `kerege network` tells: clients switched off, maintenance, certificates, what waits."""

import base64
import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest
from click.testing import CliRunner
from django.utils import translation
from web_pages import check

from kerege.cli import main
from kerege.exchange import certs
from kerege.exchange.ids import ServerId
from kerege.exchange.management import Kind
from kerege.exchange.pki import TestAuthority
from kerege.ground import clock
from kerege.membership import queries
from kerege.membership.models import AuthCertificate, ManagementRequestRow, SecurityServer
from kerege.web import formats, words

LANGUAGES = ("ky", "ru", "en")
SERVER = "KG/GOV/70000003/node-edu"


def certificate(since=None):
    since = since or clock.now()
    made = TestAuthority.create("KG", since).auth_certificate(ServerId.parse(SERVER), "Education", since)
    return certs.der(made.certificate)


def shown(der):
    """The SHA-256 as the commands print it."""
    hashed = hashlib.sha256(der).hexdigest().upper()
    return ":".join(hashed[at : at + 2] for at in range(0, 64, 2))


def told(response, language="en"):
    """The page's words, a fingerprint in one piece."""
    return check(response, language).text.replace(": ", ":")


def day(moment):
    return formats.day(moment).replace("\N{NO-BREAK SPACE}", " ")


def registers(der, *, known=True):
    server = SecurityServer.objects.get(code=SERVER)
    hashed = hashlib.sha256(der).hexdigest()
    if known:
        AuthCertificate.objects.create(server=server, der=der, sha256=hashed, registered_at=clock.now())
    server.auth_cert_sha256 = [*server.auth_cert_sha256, hashed]
    server.save()


def waits(kind, client="", signer="", state="waiting", **asked):
    return ManagementRequestRow.objects.create(
        kind=kind,
        server=SERVER,
        client=client,
        body={"certificate": None, "address": None, "name": None, "message": None} | asked,
        digest=f"{ManagementRequestRow.objects.count():064}",
        sender="KG/GOV/70000003/emis",
        signer=signer,
        origin="" if signer else "192.0.2.7",
        state=state,
        received_at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC),
        ledger_index=0,
    )


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("ky", ("Билим берүү реестри өчүрүлгөн", "node-edu тейлөөдө back at noon")),
        ("ru", ("Реестр образования отключён", "node-edu на обслуживании back at noon")),
        ("en", ("Education register disabled", "node-edu in maintenance back at noon")),
    ],
)
def test_a_disabled_client_and_a_node_in_maintenance_are_told_with_its_message(visitor, network, language, words):
    SecurityServer.objects.filter(code=SERVER).update(disabled=["KG/GOV/70000003/emis"], maintenance="back at noon")
    text = check(visitor.get(f"/{language}/network/"), language).text
    for word in words:
        assert word in text
    SecurityServer.objects.filter(code=SERVER).update(disabled=[], maintenance=None)
    text = check(visitor.get(f"/{language}/network/"), language).text
    for word in words:
        assert word not in text
    assert words[1].split(" ", 1)[1].removesuffix(" back at noon") not in text


def test_maintenance_without_a_message_is_told_too(visitor, network):
    SecurityServer.objects.filter(code=SERVER).update(maintenance="")
    assert "node-edu in maintenance Ministry of Education" in check(visitor.get("/en/network/"), "en").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_certificate_is_told_by_its_sha256_and_until_when_it_is_good(visitor, network, language):
    assert "SHA-256" not in check(visitor.get(f"/{language}/network/"), language).text
    der = certificate()
    registers(der)
    response = visitor.get(f"/{language}/network/")
    text = told(response, language)
    assert shown(der) in text
    with translation.override(language):
        assert day(certs.load(der).not_valid_after_utc) in text
        assert words.word("network.expired") not in text
    (element,) = (one for one in check(response, language).all("code") if "fingerprint" in one["class"])
    assert element["class"] == "code fingerprint"  # its style selects all of it at once


def test_a_certificate_whose_term_is_over_and_one_known_by_its_hash_only_are_told_as_that(visitor, network):
    old, hashed_only = certificate(clock.now() - timedelta(days=4000)), b"known by its hash"
    registers(old)
    registers(hashed_only, known=False)
    text = told(visitor.get("/en/network/"))
    assert shown(old) in text
    assert "it is over" in text.partition(shown(old))[2].partition(shown(hashed_only))[0]
    assert text.partition(shown(hashed_only))[2].startswith(" not known:the register has the SHA-256 only")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("ky", ("Чечим күткөн арыздар 1", "Түйүндүн сертификатын каттоо № {n}", "Ким кол койгон Билим берүү министрлиги")),
        ("ru", ("Заявки, ждущие решения 1", "Зарегистрировать сертификат узла № {n}", "Кто подписал Министерство образования")),
        ("en", ("Requests that wait for a decision 1", "Register a certificate of the node No. {n}", "Signed by Ministry of Education")),
    ],
)  # fmt: skip
def test_all_that_a_waiting_request_asks_is_told(visitor, network, language, said):
    der = certificate()
    encoded = base64.b64encode(der).decode()
    row = waits("authCertReg", signer="KG/GOV/70000003", address="node-edu.kg", certificate=encoded)
    text = told(visitor.get(f"/{language}/network/"), language)
    for line in said:
        assert line.format(n=row.pk) in text
    assert "node-edu.kg" in text
    assert shown(der) in text
    with translation.override(language):
        assert day(certs.load(der).not_valid_after_utc) in text
        assert day(row.received_at) in text


def test_a_request_names_its_client_its_new_owner_its_name_and_its_message(visitor, network):
    waits("clientReg", "KG/GOV/70000002/population", "KG/GOV/70000002", name="People")
    waits("ownerChange", "KG/GOV/70000001", "KG/GOV/70000001")
    waits("maintenanceModeEnable", signer="KG/GOV/70000003", message="back\n<b>at</b> noon\u202e")
    response = visitor.get("/en/network/")
    text = check(response, "en").text
    assert "Client Population register KG/GOV/70000002/population Name People" in text
    assert "New owner Civil registry office KG/GOV/70000001 Signed by" in text
    assert "back\N{REPLACEMENT CHARACTER}<b>at</b> noon\N{REPLACEMENT CHARACTER}" in text


def test_what_nobody_signed_is_told_as_that_and_not_where_it_came_from(visitor, network):
    unreadable = b"no certificate"
    waits("authCertDeletion", certificate=base64.b64encode(unreadable).decode())
    text = told(visitor.get("/en/network/"))
    assert "Signed by nobody signed it" in text
    assert shown(unreadable) in text
    assert "the certificate cannot be read" in text
    assert "192.0.2.7" not in text


def test_a_request_that_was_decided_is_not_shown(visitor, network):
    waits("addressChange", signer="KG/GOV/70000003", state="declined", address="declined.kg")
    text = check(visitor.get("/en/network/"), "en").text
    assert "Requests that wait for a decision none" in text
    assert "declined.kg" not in text


def test_fifty_requests_are_shown_and_the_command_for_the_rest_is_named(visitor, network):
    for number in range(52):
        waits("addressChange", signer="KG/GOV/70000003", address=f"node-{number}.kg")
    page = check(visitor.get("/en/network/"), "en")
    assert "Requests that wait for a decision 52" in page.text
    assert "2 more. All of them are shown by: kerege network requests --waiting" in page.text
    assert len(page.all("article")) == 50


def test_what_nobody_signed_does_not_push_what_was_signed_off_the_page(visitor, network):
    for _ in range(50):
        waits(Kind.CLIENT_DELETION, "KG/GOV/70000003/emis")
    waits(Kind.CLIENT_REG, "KG/GOV/70000003/emis", "KG/GOV/70000003", name="A signed one")
    text = told(visitor.get("/en/network/"))
    assert "A signed one" in text
    assert text.index("A signed one") < text.index("nobody signed it")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_request_is_called_in_words(kind):
    assert words.has(f"asked.{kind.value}")


@pytest.mark.parametrize(
    ("language", "all_of_them", "not_all"),
    [
        ("ky", "Өзгөрүүлөр баары жарыяланган", "Өзгөрүүлөр жарыялана элеги бар"),
        ("ru", "Изменения все опубликованы", "Изменения есть неопубликованные"),
        ("en", "Changes all published", "Changes some not published yet"),
    ],
)
def test_of_the_nodes_nothing_is_told_that_only_the_nodes_know(
    visitor, network, monkeypatch, language, all_of_them, not_all
):
    """What was published is known here; what a node has taken of it is not."""
    page = f"/{language}/network/"
    for changed, words_there in ((False, all_of_them), (True, not_all)):
        monkeypatch.setattr(queries.NetworkView, "unpublished_changes", changed)
        assert words_there in told(visitor.get(page), language)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_right_given_until_a_day_stands_on_the_page_with_that_day(visitor, network, home, language):
    typed = ("2099-12-31", "--by", "Decree 7")
    service = "KG/GOV/70000002/population/persons"
    done = CliRunner().invoke(main, ["network", "grant", "KG/GOV/70000003/emis", service, "--until", *typed])
    assert "until 2099-12-31 23:59:59+06:00" in done.output
    with translation.override(language):
        last = formats.day_until(date(2099, 12, 31)).replace("\N{NO-BREAK SPACE}", " ")
    assert last in told(visitor.get(f"/{language}/network/"), language)


def test_health_counts_the_requests_that_wait(visitor, network):
    assert visitor.get("/health").json()["requests_waiting"] == 0
    waits(Kind.MAINTENANCE_ENABLE)
    waits(Kind.MAINTENANCE_ENABLE, state="declined")
    assert visitor.get("/health").json()["requests_waiting"] == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_below_every_page_it_is_said_of_which_zone_its_times_are(visitor, network, language):
    for page in ("", "network/", "catalogue/"):
        assert "(UTC+6)" in check(visitor.get(f"/{language}/{page}"), language).text
