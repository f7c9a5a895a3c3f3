"""Every URL of the console. Addresses of a team begin with /t/<team>; tabs are real links."""

from __future__ import annotations

from allauth.account import views as account
from django.urls import URLPattern, URLResolver, path, re_path, register_converter

from console import prometheus
from console.api.urls import urlpatterns as api_urlpatterns
from console.live import views as live
from console.pages import (
    address,
    configuration,
    confirm,
    connect,
    consumers,
    create,
    decoding,
    deleting,
    demo,
    docs,
    faults,
    home,
    ingestion,
    monitoring,
    overview,
    palette,
    people,
    profile,
    putting,
    records,
    reference,
    resharding,
    second_step,
    setup,
    shards,
    single_sign_on,
    stream,
    streams,
    streams_bulk,
)
from console.pages.access_urls import access_urlpatterns
from console.pages.audit.urls import audit_urlpatterns
from console.pages.billing.operator_urls import operator_urlpatterns
from console.pages.billing.urls import billing_urlpatterns
from console.pages.delivery import configuration as delivery_configuration
from console.pages.delivery import create as delivery_create
from console.pages.delivery import detail as delivery
from console.pages.delivery import errors as delivery_errors
from console.pages.delivery import jobs as delivery_jobs
from console.pages.delivery import lanes as delivery_lanes
from console.pages.delivery import listing as delivery_list
from console.pages.delivery import objects as delivery_objects
from console.pages.operate_urls import operate_urlpatterns
from console.pages.team_urls import team_urlpatterns


class StreamName:
    """A stream's name in a path. `.` and `..` are names to AWS and steps to browsers, so they carry a tilde."""

    regex = r"[a-zA-Z0-9_.-]{1,128}|~\.{1,2}"

    def to_python(self, value: str) -> str:
        """The name."""
        return value.removeprefix("~")

    def to_url(self, value: str) -> str:
        """How it stands in the path."""
        return f"~{value}" if value in {".", ".."} else value


register_converter(StreamName, "stream")


def delivery_urlpatterns(team: str, stream: str) -> list[URLPattern]:
    """The section Delivery streams."""
    return [
        path(team + "delivery", delivery_list.delivery_streams, name="delivery-streams"),
        path(team + "delivery-strip", delivery_list.strip, name="delivery-strip"),
        path(team + "docs/tested", docs.tested, name="docs-tested"),
        path(team + "create-delivery", delivery_create.create, name="delivery-create"),
        path(team + "create-delivery/beside", delivery_create.beside, name="delivery-create-beside"),
        path(stream.rstrip("/"), delivery.delivery_stream, name="delivery-stream"),
        path(stream + "state", delivery.state, name="delivery-state"),
        path(stream + "now", delivery.now, name="delivery-now"),
        path(stream + "pause", delivery.pause, name="delivery-pause"),
        path(stream + "resume", delivery.resume, name="delivery-resume"),
        path(stream + "demo", delivery_jobs.demo, name="delivery-demo"),
        path(stream + "redrive", delivery_jobs.redrive, name="delivery-redrive"),
        path(stream + "jobs", delivery_jobs.jobs, name="delivery-jobs"),
        path(stream + "jobs/<int:job>/cancel", delivery_jobs.cancel, name="delivery-job-cancel"),
        path(stream + "objects", delivery_objects.objects, name="delivery-objects"),
        path(stream + "objects/<int:number>", delivery_objects.looking_at, name="delivery-object"),
        path(stream + "objects/<int:number>/data", delivery_objects.download, name="delivery-object-download"),
        path(stream + "errors", delivery_errors.errors, name="delivery-errors"),
        path(stream + "lanes", delivery_lanes.lanes, name="delivery-lanes"),
        path(stream + "configuration", delivery_configuration.configuration, name="delivery-configuration"),
        path(stream + "delete", delivery_configuration.delete, name="delivery-delete"),
    ]


T = "t/<slug:team>/"
S = T + "streams/<stream:name>/"
D = T + "delivery/<stream:name>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("setup", setup.setup, name="setup"),
    path("theme", people.theme, name="theme"),
    path("sign-in", people.sign_in, name="account_login"),
    path("sign-in/second-step", confirm.second_step, name="mfa_authenticate"),
    path("sign-in/start-over", confirm.start_over, name="sign-in-over"),
    path("sign-in/passkey", confirm.passkey_sign_in, name="mfa_login_webauthn"),
    path("sign-in/oidc", single_sign_on.start, name="oidc"),
    path("sign-in/oidc/back", single_sign_on.callback, name="oidc-callback"),
    path("confirm", confirm.confirm_password, name="account_reauthenticate"),
    path("confirm/code", confirm.confirm_code, name="mfa_reauthenticate"),
    path("confirm/passkey", confirm.confirm_passkey, name="mfa_reauthenticate_webauthn"),
    path("address/<str:token>", address.confirm, name="address-confirm"),
    path("profile", profile.mine, name="mfa_index"),
    path("sign-out", account.logout, name="account_logout"),
    path("account-off", account.account_inactive, name="account_inactive"),
    path("password/reset", account.password_reset, name="account_reset_password"),
    path("password/reset/sent", account.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("password/reset/done", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    path("t/<slug:team>", overview.team_overview, name="overview"),
    path(T + "acknowledge", overview.acknowledge, name="acknowledge"),
    path(T + "overview-cost", overview.cost, name="overview-cost"),
    path(T + "profile", profile.profile, name="profile"),
    path(T + "profile/address", address.change, name="profile-address"),
    path(T + "profile/app", second_step.add_app, name="profile-app"),
    path(T + "profile/passkeys/add", second_step.add_passkey, name="profile-passkey-add"),
    path(T + "profile/passkeys/<int:key>", second_step.passkey, name="profile-passkey"),
    path(T + "profile/steps/<int:key>/remove", second_step.remove, name="profile-step-remove"),
    path(T + "profile/recovery-codes", second_step.codes, name="profile-codes"),
    path(T + "profile/recovery-codes/new", second_step.new_codes, name="profile-codes-new"),
    path(T + "profile/sessions/end", profile.end_session, name="profile-session-end"),
    path(T + "palette", palette.palette, name="palette"),
    path(T + "reference", reference.reference, name="reference"),
    path(T + "reference/<slug:slug>", reference.resource, name="reference-resource"),
    path("metrics", prometheus.metrics, name="metrics"),
    path(T + "live.json", live.live, name="live"),
    path(T + "demo", demo.demo, name="demo"),
    path(T + "ingestion", ingestion.jobs, name="ingestion"),
    path(T + "ingestion/import", ingestion.import_file, name="ingestion-import"),
    path(T + "ingestion/replay", ingestion.replay, name="ingestion-replay"),
    path(T + "ingestion/<int:job>", ingestion.job, name="ingestion-job"),
    path(T + "ingestion/<int:job>/cancel", ingestion.cancel, name="ingestion-cancel"),
    path(T + "streams", streams.streams, name="streams"),
    path(T + "streams-strip", streams.strip, name="streams-strip"),
    path(T + "streams-columns", streams_bulk.columns, name="streams-columns"),
    path(T + "streams-tag", streams_bulk.tag, name="streams-tag"),
    path(T + "streams-delete", streams_bulk.delete, name="streams-delete"),
    path(T + "create-stream", create.create, name="stream-create"),
    path(T + "create-stream/beside", create.beside, name="stream-create-beside"),
    path(T + "create-stream/name", create.check_name, name="stream-name"),
    path(T + "streams/<stream:name>", stream.stream_overview, name="stream"),
    path(S + "state", stream.state, name="stream-state"),
    path(S + "latest", records.latest, name="stream-latest"),
    path(S + "monitoring", monitoring.monitoring, name="stream-monitoring"),
    path(S + "monitoring/shards", monitoring.per_shard, name="stream-per-shard"),
    path(S + "monitoring.csv", monitoring.metrics_csv, name="stream-metrics-csv"),
    path(S + "shards", shards.shards, name="stream-shards"),
    path(S + "shards/map", shards.map_part, name="stream-map"),
    path(S + "shards/split", resharding.split, name="stream-split"),
    path(S + "shards/merge", resharding.merge, name="stream-merge"),
    path(S + "shards/count", resharding.count, name="stream-count"),
    path(S + "records", records.records, name="stream-records"),
    path(S + "records/follow", records.follow, name="stream-follow"),
    path(S + "records/decode", decoding.decode, name="stream-decode"),
    path(S + "records/export", records.export, name="stream-export"),
    path(S + "records/<int:index>/<int:number>", records.record, name="record"),
    path(S + "records/<int:index>/<int:number>/data", records.download, name="record-download"),
    path(S + "put", putting.put, name="stream-put"),
    path(S + "consumers", consumers.consumers, name="stream-consumers"),
    path(S + "consumers/deregister", consumers.deregister, name="consumer-deregister"),
    path(S + "connect", connect.connect, name="stream-connect"),
    path(S + "connect/test", connect.test_call, name="stream-test-call"),
    path(S + "configuration", configuration.configuration, name="stream-configuration"),
    path(S + "configuration/cost", configuration.cost, name="stream-cost"),
    path(S + "faults", faults.faults, name="stream-faults"),
    path(S + "delete", deleting.delete, name="stream-delete"),
    *delivery_urlpatterns(T, D),
    *operate_urlpatterns(T),
    *team_urlpatterns(T),
    *billing_urlpatterns(T),
    *operator_urlpatterns(T),
    *access_urlpatterns(T),
    *audit_urlpatterns(T, S, D),
    *api_urlpatterns,
]

handler400 = "console.pages.system.bad_request"
handler403 = "console.pages.system.permission_denied"
handler404 = "console.pages.system.not_found"
handler429 = "console.pages.system.too_many"
handler500 = "console.pages.system.server_error"
