"""Any report that could be made, and more: every text is any text, but for networks, which the core has always read."""

from hypothesis import strategies as st

from reconciler.core.changes import AccessChange, Delta, Direction, Fields, ListDiff, TextDiff
from reconciler.core.inventory import ReportedKey, ReportedPause, ReportedRule, ReportedWaiver
from reconciler.core.keys import Source
from reconciler.core.report import (
    SCHEMA,
    ChangedKey,
    FindingCounts,
    Report,
    ReportedAccount,
    ReportedChange,
    ReportedFinding,
    ReportedRefusal,
    RequestCounts,
    Since,
    Standing,
    Summary,
)

NAMES = st.one_of(st.none(), st.text(max_size=60), st.sampled_from(['", "', "\\", "\n\nPlan: done", "\x1b[2J", "Acme"]))
IDS = st.sampled_from(["a-1", "a-2"])
SUB_IDS = st.one_of(st.none(), st.sampled_from(["s-1", "s-2", "s-3"]))
LISTS = st.lists(
    st.sampled_from(["*", "messages:send:all", "messages:send:{a.example}"]) | st.text(max_size=5), max_size=3
)
PAIRS = st.builds(ListDiff, before=st.none() | LISTS.map(tuple), after=LISTS.map(tuple))
FIELDS = st.builds(
    Fields, label=st.none() | st.builds(TextDiff), scopes=st.none() | PAIRS, ip_allow_list=st.none() | PAIRS
)
DELTAS = st.builds(Delta, granted=LISTS.map(tuple), revoked=LISTS.map(tuple))
ACCESS = st.builds(AccessChange, direction=st.sampled_from(Direction), scopes=DELTAS, networks=DELTAS)
PLACES = st.none() | st.builds(Source)
NETWORKS = st.lists(
    st.sampled_from(["192.0.2.1/32", "203.0.113.0/24", "10.0.0.0/8", "0.0.0.0/1", "2001:db8::/32"]), max_size=3
)
KEYS = st.builds(
    ReportedKey,
    name=NAMES,
    owner=st.text(max_size=5),
    ip_allow_list=NETWORKS.map(tuple),
    paused=st.none() | st.builds(ReportedPause),
    source=PLACES,
)
FINDINGS = st.builds(
    ReportedFinding,
    account_id=IDS | st.none(),
    sub_account_id=SUB_IDS,
    since=st.none() | st.sampled_from(Standing),
)
SINCE = st.builds(
    Since,
    gone=st.lists(FINDINGS, max_size=2).map(tuple),
    keys=st.lists(
        st.builds(ChangedKey, account_id=IDS, sub_account_id=SUB_IDS, name=NAMES, fields=FIELDS, access=ACCESS),
        max_size=4,
    ).map(tuple),
    not_compared=st.integers(0, 3),
)
REPORTS = st.builds(
    Report,
    schema=st.just(SCHEMA),
    accounts=st.lists(
        st.builds(
            ReportedAccount,
            account_id=IDS | st.text(),
            sub_account_id=SUB_IDS | st.text(),
            changes=st.lists(st.builds(ReportedChange, fields=FIELDS, access=ACCESS), max_size=2).map(tuple),
            sub_account_name=NAMES,
            inventory=st.none() | st.lists(KEYS, max_size=2).map(tuple),
        ),
        max_size=4,
    ).map(tuple),
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
    summary=st.sampled_from([Summary(), Summary(planned=2, refused=1, unchanged=9, findings=FindingCounts(note=3))]),
    requests=st.builds(RequestCounts),
    refusals=st.lists(st.builds(ReportedRefusal, account_id=IDS | st.none(), sub_account_id=SUB_IDS), max_size=3).map(
        tuple
    ),
    since=st.none() | SINCE,
    as_of=st.none() | st.text(max_size=5),
    rules=st.lists(st.builds(ReportedRule), max_size=2).map(tuple),
    waivers=st.lists(st.builds(ReportedWaiver), max_size=2).map(tuple),
)
