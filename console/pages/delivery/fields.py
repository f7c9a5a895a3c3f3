"""The forms of delivery streams: every field of the create wizard and of the tab Configuration, and which are needed when.

Names of fields are this console's own; configured.py makes AWS's members of them, initial.py the way back.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django import forms

from console.pages.delivery.described import DESTINATIONS, KEYS
from console.pages.tag_field import TagField

NAME_MAX: Final = 64
URL_MAX: Final = 2_048
RATE_MAX: Final = 1e9
"""Records a second, and KiB of one, that a cost can be estimated for."""

SECRETS: Final = (
    "http_key", "splunk_token", "redshift_password", "s3_secret", "backup_secret", "lambda_secret", "destination_secret",
)  # fmt: skip
"""Fields that are never shown again, neither in a form nor in code."""

COMPRESSIONS: Final = [
    ("UNCOMPRESSED", "None"),
    ("GZIP", "gzip"),
    ("ZIP", "zip"),
    ("Snappy", "Snappy"),
    ("HADOOP_SNAPPY", "Hadoop-compatible Snappy"),
]
ROTATIONS: Final = [
    ("NoRotation", "One index for all"),
    ("OneHour", "An index each hour"),
    ("OneDay", "An index each day"),
    ("OneWeek", "An index each week"),
    ("OneMonth", "An index each month"),
]

NEEDED: Final = {
    "http": ("http_url",),
    "splunk": ("splunk_url", "splunk_token"),
    "opensearch": ("search_url", "search_index"),
    "serverless": ("search_url", "search_index"),
    "elasticsearch": ("search_url", "search_index"),
    "redshift": ("redshift_url", "redshift_table", "redshift_user", "redshift_password"),
    "iceberg": ("iceberg_database", "iceberg_table"),
}
"""Beside the bucket, which all of them have."""

NEEDED_WORDS: Final = "This destination needs it."


class Lines(forms.CharField):
    """Text over several lines, as a list of those that say something."""

    widget = forms.Textarea

    def clean(self, value: str | None) -> list[str]:
        """Without blank lines and the space around each."""
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class Secret(forms.CharField):
    """Goes in, and is never written into a page."""

    widget = forms.PasswordInput(render_value=False)

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, strip=True, **options)


def _text(most: int = 1_024, **options: Any) -> forms.CharField:
    return forms.CharField(max_length=most, required=False, **options)


def _whole(least: int, most: int) -> forms.IntegerField:
    return forms.IntegerField(min_value=least, max_value=most, required=False)


def _yes() -> forms.BooleanField:
    return forms.BooleanField(required=False)


class SourceFields(forms.Form):
    """What it is called, and where the records come from."""

    name = forms.CharField(max_length=NAME_MAX)
    source = forms.ChoiceField(choices=[("direct", "Direct PUT"), ("stream", "Data stream")], initial="direct")
    stream = forms.ChoiceField(choices=[], required=False)
    encrypt = _yes()
    tags = TagField(required=False)
    expected_rate = forms.FloatField(min_value=0, max_value=RATE_MAX, required=False)
    expected_kib = forms.FloatField(min_value=0, max_value=RATE_MAX, required=False)


class BucketFields(forms.Form):
    """The bucket: the destination itself, or where staging, failed records and backups go."""

    bucket = forms.CharField(max_length=255)
    role_arn = forms.CharField(max_length=512)
    prefix = _text(strip=False)  # type: ignore[assignment]  # forms take their fields out of the class
    error_prefix = _text(strip=False)
    time_zone = _text(50)
    extension = _text(128)
    compression = forms.ChoiceField(choices=COMPRESSIONS, initial="UNCOMPRESSED", required=False)
    size_mb = _whole(1, 128)
    interval_s = _whole(0, 900)
    kms_key_arn = _text(512)
    retry_s = _whole(0, 7_200)
    backup = _yes()
    backup_bucket = _text(255)
    backup_prefix = _text(strip=False)


class HttpFields(forms.Form):
    """An HTTP endpoint."""

    http_url = _text(1_000)
    http_name = _text(256)
    http_key = Secret(max_length=4_096)
    http_gzip = _yes()
    http_attributes = TagField(required=False)


class SplunkFields(forms.Form):
    """Splunk's HTTP event collector."""

    splunk_url = _text(URL_MAX)
    splunk_type = forms.ChoiceField(choices=[("Raw", "Raw"), ("Event", "Event")], initial="Raw", required=False)
    splunk_token = Secret(max_length=2_048)
    splunk_ack_s = _whole(180, 600)


class SearchFields(forms.Form):
    """Elasticsearch, OpenSearch and OpenSearch Serverless."""

    search_url = _text(512)
    search_index = _text(80)
    search_rotation = forms.ChoiceField(choices=ROTATIONS, initial="OneDay", required=False)
    search_ids = forms.ChoiceField(
        choices=[
            ("FIREHOSE_DEFAULT", "One per record: nothing is indexed twice"),
            ("NO_DOCUMENT_ID", "The server's own"),
        ],
        initial="FIREHOSE_DEFAULT",
        required=False,
    )


class RedshiftFields(forms.Form):
    """Redshift, and what loads as it does."""

    redshift_url = _text(512)
    redshift_table = _text(512)
    redshift_columns = _text(10_240)
    redshift_options = _text(10_240, initial="json 'auto'")
    redshift_user = _text(512)
    redshift_password = Secret(max_length=512)


class IcebergFields(forms.Form):
    """A table of the catalogue."""

    iceberg_database = _text(255)
    iceberg_table = _text(255)


class ProcessingFields(forms.Form):
    """What happens to records before they are delivered."""

    decompress = _yes()
    extract = _yes()
    deaggregate = forms.ChoiceField(
        choices=[("", "No"), ("JSON", "JSON objects"), ("DELIMITED", "Separated by a text")], required=False
    )
    deaggregate_by = _text(64, strip=False)
    transform = forms.ChoiceField(
        choices=[("", "None"), ("lambda", "Lambda function"), ("http", "HTTP endpoint")], required=False
    )
    transform_arn = _text(512)
    transform_url = forms.URLField(max_length=1_024, required=False, assume_scheme="https")
    transform_mb = forms.DecimalField(min_value=0, max_value=3, max_digits=3, decimal_places=1, required=False)
    transform_s = _whole(0, 900)
    transform_retries = _whole(0, 300)
    jq = _text(5_120, widget=forms.Textarea)
    partition = _yes()
    delimiter = _yes()


class ConversionFields(forms.Form):
    """Parquet or ORC instead of the records as they are."""

    convert = forms.ChoiceField(choices=[("", "No"), ("parquet", "Parquet"), ("orc", "ORC")], required=False)
    table = forms.ChoiceField(choices=[], required=False)
    columns = Lines(max_length=100_000, required=False)
    serde = forms.ChoiceField(choices=[("openx", "OpenX"), ("hive", "Hive")], initial="openx", required=False)


class ConnectionFields(forms.Form):
    """Where parts really are, if not where the operator's environment says."""

    s3_endpoint = _text()
    s3_region = _text(40)
    s3_key = _text(256)
    s3_secret = Secret(max_length=1_024)
    backup_endpoint = _text()
    backup_region = _text(40)
    backup_key = _text(256)
    backup_secret = Secret(max_length=1_024)
    lambda_endpoint = _text()
    lambda_region = _text(40)
    lambda_key = _text(256)
    lambda_secret = Secret(max_length=1_024)
    destination_endpoint = _text()
    destination_region = _text(40)
    destination_key = _text(256)
    destination_secret = Secret(max_length=1_024)


class DestinationForm(
    BucketFields,
    HttpFields,
    SplunkFields,
    SearchFields,
    RedshiftFields,
    IcebergFields,
    ProcessingFields,
    ConversionFields,
):
    """Everything about a destination. tables: names of the catalogue's tables, `database.table`."""

    kind = forms.ChoiceField(choices=[(key, DESTINATIONS[kind]) for key, kind in KEYS.items()], initial="s3")

    secret_is_kept = False
    """True where an existing destination is changed: an empty secret leaves the one it has."""

    def __init__(self, *args: Any, tables: list[str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        named = [(name, name) for name in tables or []]
        self.fields["table"].choices = [("", "From the columns below"), *named]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """The fields that the chosen kind, transform and conversion need."""
        given = super().clean() or self.cleaned_data
        for name in self.needed(given.get("kind", "")):
            self._need(name, NEEDED_WORDS)
        if given.get("transform") == "lambda":
            self._need("transform_arn", "Which function?")
        if given.get("transform") == "http":
            self._need("transform_url", "Where is it?")
            url = given.get("transform_url") or ""
            if url and urlsplit(url).path in {"", "/"}:  # invocation.py tells a plain endpoint from Lambda's API by it
                self.add_error("transform_url", f"Write its path, too, like {url.rstrip('/')}/transform.")
        if given.get("deaggregate") == "DELIMITED":
            self._need("deaggregate_by", "Which text separates them?")
        if given.get("backup") and given.get("kind") in {"s3", "redshift"}:
            self._need("backup_bucket", "Which bucket?")
        if given.get("convert") and given.get("kind") == "s3" and not given.get("table"):
            self._need("columns", "Choose a table, or write the columns of a new one.")
        return given

    def needed(self, kind: str) -> tuple[str, ...]:
        """Fields that a kind of destination needs."""
        return NEEDED.get(kind, ())

    def _need(self, name: str, text: str) -> None:
        kept = self.secret_is_kept and name in SECRETS
        if name not in self.errors and not self.cleaned_data.get(name) and not kept:
            self.add_error(name, text)


class CreateForm(SourceFields, DestinationForm, ConnectionFields):
    """The wizard. streams: names of the team's data streams."""

    def __init__(self, *args: Any, streams: list[str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["stream"].choices = [("", "Choose one"), *((name, name) for name in streams or [])]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A data stream as source needs to be named."""
        given = super().clean()
        if given.get("source") == "stream":
            self._need("stream", "Choose a data stream.")
        return given
