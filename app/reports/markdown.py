"""A report as Markdown: the same order, without shading; strong activations are bold."""

from collections.abc import Iterator, Sequence

from app.core.digests import canonical_json
from app.reports.markdown_evidence import OUTCOMES, evidence, table, word
from app.reports.model import Feature, Report
from app.reports.text import code, visible
from app.reports.text import markdown as md
from app.reports.words import (
    count,
    glossary,
    interval,
    number,
    percent,
    probability,
    quantity,
    scale_of,
)


def render_markdown(report: Report) -> bytes:
    """The text, UTF-8; the same report gives the same bytes."""
    lines = [
        *_head(report),
        *_controls(report),
        *_changed(report),
        *_broke(report),
        *_trust(report),
        *_needed(report),
        *_cards(report),
        *_words(report),
        *_provenance(report),
    ]
    return ("\n".join(lines).rstrip() + "\n").encode()


def _bullets(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"- {md(line)}" for line in lines)
    yield ""


def _head(report: Report) -> Iterator[str]:
    s, h = report.subject, report.headline
    yield f"# {md(h.sentence)}"
    yield ""
    watched = (
        f"{md(s.feature_set)} version {s.feature_set_version}"
        if s.feature_set is not None
        else f"all latents of {md(s.dictionary)}"
    )
    ended = f", {s.finished_at:%Y-%m-%d %H:%M:%S} UTC" if s.finished_at else ""
    rows = [
        ("model", md(s.model)),
        ("checkpoint", md(s.checkpoint)),
        ("baseline", md(s.baseline)),
        *([("previous", md(s.previous))] if s.previous else []),
        ("monitor", md(s.monitor)),
        ("watched", watched),
        ("corpus", md(s.corpus)),
        ("evaluation", f"{code(str(s.evaluation))}, {s.state}{ended}"),
    ]
    yield from table(("Report on", f"**{h.outcome}**"), rows)
    yield "## In short"
    a = report.answers
    for question, answer in (
        ("What changed?", a.what_changed),
        ("What broke?", a.what_broke),
        ("What should we trust?", a.what_to_trust),
        ("What needs intervention?", a.what_needs_intervention),
    ):
        yield f"**{question}**"
        yield ""
        yield from _bullets(answer)
    if h.reasons:
        yield "**What keeps it from a pass**"
        yield ""
        yield from _bullets([f"{reason.outcome}: {reason.detail}" for reason in h.reasons])


def _controls(report: Report) -> Iterator[str]:
    yield "## Controls: could the method have failed?"
    if not report.controls:
        yield "No control has an outcome: the evaluation has no results."
        yield ""
        return
    rows = []
    for c in report.controls:
        failed = f" Failed for {', '.join(map(md, c.failed_for))}." if c.failed_for else ""
        rows.append((c.control.replace("_", " "), OUTCOMES[c.outcome], md(c.detail) + failed))
    yield from table(("control", "outcome", "what came of it"), rows)


def _changed(report: Report) -> Iterator[str]:
    yield "## What changed?"
    words = ("drifted", "stable", "inconclusive", "insufficient", "untrusted", "invalid")
    rows: list[Sequence[object]] = [
        (
            f"{c.comparison} {md(c.checkpoint)}",
            c.features,
            *(c.counts.get(word, 0) for word in words),
            f"{percent(c.drifted_ratio)} ({percent(c.drifted_lower)} to "
            f"{percent(c.drifted_upper)})",
        )
        for c in report.comparisons
    ]
    if not rows:
        yield from _bullets(report.answers.what_changed)
        return
    yield from table(("against", "features", *words, "share drifted"), rows)
    for c in report.comparisons[:1]:
        yield from _bullets(c.notes)
    rows = [(md(f.name), *_verdict(f), _flags(f)) for f in report.features]
    for o in report.others:
        scale = scale_of(o.estimand or "")
        effect, margin = quantity(o.effect, scale), quantity(o.margin, scale)
        between = interval(o.lower, o.upper, scale)
        rows.append((md(o.name), o.verdict, word(o.estimand), effect, between, margin, ""))
    columns = ("feature", "verdict", "estimand", "effect", "interval", "margin", "flags")
    yield from table(columns, rows)
    if report.left_out:
        yield f"{count(report.left_out, 'more feature')} without a line here."
        yield ""
    if report.dictionaries:
        yield from table(
            ("dictionary", "side", "FVU", "L0", "dead latents"),
            [
                (md(d.dictionary), d.role, number(d.fvu), number(d.l0), percent(d.dead_ratio))
                for d in report.dictionaries
            ],
        )


def _broke(report: Report) -> Iterator[str]:
    yield "## What broke?"
    yield from _bullets(report.answers.what_broke)
    for feature in report.features:
        if feature.verdict == "drifted":
            yield f"### {md(feature.name)}: {feature.verdict}"
            yield ""
            yield md(feature.reason)
            yield from evidence(feature)


def _trust(report: Report) -> Iterator[str]:
    named = {feature.name: feature for feature in report.features}
    yield "## What should we trust?"
    yield from _bullets(report.answers.what_to_trust)
    yield "### Shown to be stable"
    rows = []
    for name in report.stable:
        f = named[name]
        unknown = "not asked" if f.concept else "no concept"
        keeps = word(f.behaviour.earns_keep) if f.behaviour.earns_keep else unknown
        _, estimand, effect, between, margin = _verdict(f)
        source = md(f.lead.margin_meaning) if f.lead else "–"
        row = (md(name), estimand, effect, between, margin, source, probability(f.q_stable), keeps)
        rows.append(row)
    if rows:
        columns = ("feature", "nearest", "effect", "interval", "margin", "from", "q", "earns keep")
        yield from table(columns, rows)
    else:
        yield "None."
        yield ""
    yield "### What could not be judged, and why"
    unjudged = [(md(n), named[n].verdict, md(named[n].reason)) for n in report.unjudged]
    if unjudged:
        yield from table(("feature", "verdict", "why"), unjudged)
    else:
        yield "Nothing with a line here." if report.features else "There is no verdict at all."
        yield ""


def _needed(report: Report) -> Iterator[str]:
    yield "## What needs intervention?"
    yield from _bullets(report.answers.what_needs_intervention)
    for one in report.interventions:
        yield f"**{one.urgency}**: {md(one.what)} {md(one.why)}"
        if one.features:
            yield f"Features: {', '.join(map(md, one.features))}"
        if one.calls:
            yield ""
            yield from _fenced(one.calls)
        yield ""
    if report.repair is not None:
        r = report.repair
        yield (
            f"Repair {code(str(r.repair))}, as proposed; {code(r.read)} shows what became of it."
        )
        yield ""


def _cards(report: Report) -> Iterator[str]:
    yield "## Feature cards"
    for f in report.features:
        b = f.behaviour
        yield f"### Card of {md(f.name)}"
        yield ""
        claims = f"; claims the concept {md(f.concept)}" if f.concept else ""
        yield f"{md(f.definition or '')}{claims}; {code(f.definition_digest)}"
        yield ""
        auroc = ""
        if b.concept_auroc_baseline is not None:
            auroc = (
                f" AUROC {number(b.concept_auroc_baseline)} before, "
                f"{number(b.concept_auroc_candidate)} after."
            )
        yield (
            f"**How it behaves:** on at {percent(b.firing_ratio_baseline)} of tokens before, "
            f"{percent(b.firing_ratio_candidate)} after; active in {b.active_documents} of "
            f"{count(b.documents, 'document')}.{auroc} Drift score {number(b.drift_score)}."
        )
        yield ""
        if f.verdict != "drifted":
            yield f"**{f.verdict}:** {md(f.reason)}"
            yield from evidence(f)
        yield f"**How stable it is:** {'' if f.history else 'this is the first verdict on it.'}"
        yield ""
        for line in f.history:
            scale = scale_of(line.estimand or "")
            other = "" if line.same_definition else ", defined otherwise then"
            yield (
                f"- {md(line.checkpoint)} against {md(line.baseline)}: {line.verdict}"
                f"{', paged' if line.paged else ''}{other}; {word(line.estimand)} "
                f"{quantity(line.effect, scale)} ({interval(line.lower, line.upper, scale)})"
            )
        yield ""
        yield "**What breaks it:**"
        yield ""
        yield from _bullets(f.what_breaks_it or ("Nothing that was tried.",))
        yield "**How it should be monitored:**"
        yield ""
        yield from _bullets([f"{one.what} {one.why}" for one in f.monitoring] or ["As it is."])


def _provenance(report: Report) -> Iterator[str]:
    p = report.provenance
    yield "## Provenance"
    yield ""
    yield (
        "The first command gives this report again. The others measure it anew: a second monitor "
        "asks the same question of the same inputs. $API is the address of the API."
    )
    yield ""
    yield from _fenced(p.reproduce)
    rows: list[Sequence[object]] = []
    for side in p.sides:
        for what in ("weights_digest", "config_digest", "tokenizer_digest", "snapshot_key"):
            value = getattr(side, what)
            name = f"{side.role} {md(side.checkpoint)}, {what.replace('_', ' ')}"
            rows.append((name, code(value) if value else "–"))
    rows += [
        ("inputs", code(p.inputs_digest)),
        ("corpus", f"{code(p.corpus_digest)}, {count(p.corpus_documents, 'document')}"),
        ("feature set", code(p.feature_set_digest) if p.feature_set_digest else "–"),
        ("features as measured", code(p.features_digest) if p.features_digest else "–"),
        *(
            (f"dictionary {md(name)}", code(digest) if digest else "–")
            for name, digest in sorted(p.dictionaries.items())
        ),
        *((f"snapshot {word(role)}", code(key)) for role, key in sorted(p.snapshots.items())),
        ("seed of controls", p.seed),
        ("numerics", md(", ".join(f"{k} {v}" for k, v in sorted(p.numerics.items())) or "–")),
        ("libraries", md(", ".join(f"{k} {v}" for k, v in sorted(p.libraries.items())) or "–")),
        ("sequence length", p.sequence_length or "–"),
        ("rendered by", f"featuredrift {p.featuredrift_version}, schema {p.schema_version}"),
    ]
    yield from table(("what", "value"), rows)
    yield "The policy:"
    yield ""
    yield from _fenced([canonical_json(p.policy).decode()])


def _words(report: Report) -> Iterator[str]:
    if report.features:
        yield "## What the words mean"
        yield ""
        found = glossary(
            (line.estimand for feature in report.features for line in feature.estimates),
            (feature.verdict for feature in report.features),
        )
        yield from (f"- **{md(word)}**: {md(meaning)}" for word, meaning in found)
        yield ""


def _fenced(lines: Sequence[str]) -> Iterator[str]:
    yield "```"
    # Names and digests alone go into commands; a line that could end the fence is none.
    yield from (visible(line).replace("```", "'''").replace("\n", " ") for line in lines)
    yield "```"
    yield ""


def _verdict(f: Feature) -> tuple[str, str, str, str, str]:
    line = f.lead
    if line is None:
        return f.verdict, word(f.estimand), "–", "–", "–"
    return (
        f.verdict,
        word(line.estimand),
        quantity(line.effect, line.scale),
        interval(line.lower, line.upper, line.scale),
        quantity(line.margin, line.scale),
    )


def _flags(f: Feature) -> str:
    return ", ".join(w for w, on in (("pages", f.paged), ("slow drift", f.slow_drift)) if on)
