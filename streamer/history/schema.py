"""The tables as they are now, for queries. What made them is in `migrations`; a test holds both together."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, MetaData, Table, Text

METADATA = MetaData()
_Whole = BigInteger
"""64 bits everywhere: PostgreSQL refuses greater numbers in a query than the type that stands here, whatever its column
holds."""

RESULTS = Table(
    "results",
    METADATA,
    Column("id", _Whole, primary_key=True),  # stable: never given to another row
    Column("stream", Text, nullable=False),
    Column("at", Double, nullable=False),  # Unix seconds of capture
    Column("until", Double, nullable=False),  # of the last picture that had not changed since
    Column("words", Text, nullable=False),  # `words.indexed`
    Column("document", Text, nullable=False),  # `rows.result_document`
    Column("picture", Text),
    Column("corrected", _Whole),  # id of the correction that counts; null where the model's answer does
)
LABELS = Table(
    "result_labels",
    METADATA,
    Column("label", Text, primary_key=True),  # `rows.label_key`
    Column("result", _Whole, primary_key=True),
)
FILES = Table(
    "files",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # "result": goes with its row; "alert" and "clip": go with their alert
    Column("home", Text, nullable=False),  # `Shelf.home` of the folder that has it
    Column("at", Double, nullable=False),
    Column("bytes", _Whole, nullable=False),  # 0 for a clip that is being written
)
ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("stream", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("phase", Text, nullable=False),
    Column("revision", _Whole, nullable=False),
    Column("put_revision", _Whole, nullable=False),  # the job's own count: it does not know of acknowledgements
    Column("started_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("acknowledged_at", Double),
    Column("snapshot", Text),
    Column("clip", Text),
    Column("document", Text, nullable=False),  # `rows.alert_document`
)
REVISIONS = Table(
    "alert_revisions",
    METADATA,
    Column("alert", Text, primary_key=True),
    Column("revision", _Whole, primary_key=True),
    Column("document", Text, nullable=False),
)
CORRECTIONS = Table(
    "corrections",
    METADATA,
    Column("id", _Whole, primary_key=True),
    Column("result", _Whole, nullable=False),
    Column("at", Double, nullable=False),
    Column("author", Text, nullable=False),
    Column("document", Text),  # `correcting.Correction`; null: from then on the model's answer counted again
)
NOTICES = Table(
    "notices",
    METADATA,
    Column("id", _Whole, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("alert", Text, nullable=False),
    Column("revision", _Whole, nullable=False),
    Column("at", Double, nullable=False),  # `Alert.updated_at`
    Column("document", Text, nullable=False),
    Column("attempts", _Whole, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text),
)
