"""Django's settings, all derived from apps/base/config.py."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import dj_database_url

from apps.base.config import Config
from apps.base.keys import derive

CONFIG = Config.from_environment()
BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = derive(CONFIG.master_key_path, "django-secret-key").hex()
DEBUG = False
ALLOWED_HOSTS = [*CONFIG.allowed_hosts] or ["localhost", "127.0.0.1", "[::1]", CONFIG.host]
ALLOWED_HOSTS.append(urlsplit(CONFIG.public_address).hostname or "localhost")
CSRF_TRUSTED_ORIGINS = [CONFIG.public_address]
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
ROOT_URLCONF = "console.urls"
ASGI_APPLICATION = "console.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "drf_spectacular",
    "knox",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "apps.accounts",
    "apps.access",
    "apps.encryption",
    "apps.leases",
    "apps.metrics",
    "apps.billing",
    "apps.capacity",
    "apps.streams",
    "apps.cloudwatch",
    "apps.queues",
    "apps.catalogue",
    "apps.delivery",
    "console",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "console.static_files.Compressed",
    "console.csp.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "console.sessions.Seen",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "console.zones.Zones",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

DATABASES = {"default": dj_database_url.parse(CONFIG.database, conn_max_age=600)}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000;",
    }

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "console.pages.shell.context",
            ],
            "builtins": ["console.templatetags.ui"],
        },
    }
]

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [CONFIG.redis]},
    }
}

STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]  # our own files only
STATIC_ROOT = CONFIG.data_path / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "console.storage.HashedFiles"},
}
FILE_UPLOAD_HANDLERS = ["console.uploads.EncryptedUpload"]
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024
"""Bytes of a form without its files: a record of 1 MiB in a text area, percent-encoded at worst."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # What fails in a page is logged once, by console/pages/system.py, with the id that the person sees.
    # Who asks for a foreign host is told so (400); with a traceback each, strangers would fill the log.
    "loggers": {
        name: {"level": "CRITICAL", "propagate": False, "handlers": []}
        for name in ("django.request", "django.security.DisallowedHost")
    },
}

CACHES = {
    # In the database: shared by all web processes, and sign-in does not depend on Redis. It holds rate limits only.
    # Beyond MAX_ENTRIES the earliest by name go, whoever they count: Django's 300 are soon reached by who wants that.
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "console_cache",
        "OPTIONS": {"MAX_ENTRIES": 50_000},
    }
}

AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
CSRF_FAILURE_VIEW = "console.pages.system.csrf_failed"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "console.sign_in.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "reset_password": "20/m/ip,5/m/key",
    "reset_password_from_key": "20/m/ip",
    "change_password": "5/m/user",
    "reauthenticate": "10/m/user",
}
SOCIALACCOUNT_ADAPTER = "console.sign_in.single_sign_on.SocialAdapter"
SOCIALACCOUNT_STORE_TOKENS = False
MFA_ADAPTER = "console.sign_in.second_step.MfaAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Tidegate"
MFA_TOTP_TOLERANCE = 1  # clocks of phones are off by a little; each code works once (console/sign_in/second_step.py)
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True  # nobody registers: addresses are an invitation's
MFA_RATE_LIMITS = {"webauthn_login": "30/m/ip"}
MFA_FORMS = {
    "authenticate": "console.sign_in.second_step.AuthenticateForm",
    "reauthenticate": "console.sign_in.second_step.ReauthenticateForm",
    "activate_totp": "console.sign_in.second_step.ActivateForm",
    "login_webauthn": "console.sign_in.second_step.LoginPasskeyForm",
    "authenticate_webauthn": "console.sign_in.second_step.AuthenticatePasskeyForm",
    "reauthenticate_webauthn": "console.sign_in.second_step.ReauthenticatePasskeyForm",
    "add_webauthn": "console.sign_in.second_step.AddPasskeyForm",
}
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105 - a model's name
MIGRATION_MODULES = {"knox": None}
"""Its own table would stay empty, and hold on to people's rows by a key that Django knows nothing of."""
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_PREFIX": "tgt_", "TOKEN_TTL": None}
REST_FRAMEWORK = {  # the rest stands in console/api/view.py
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "console.api.schema.Operation",
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is a parameter like any other: unknown
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tidegate REST API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["console.api.schema.finish"],  # not its own: choices stand where they are meant
}
# Without a mail server, what would be sent is kept where the person who runs Tidegate finds it.
EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = CONFIG.data_path / "mail"
EMAIL_TIMEOUT = 10
"""Seconds for one step of the talk with a mail server."""
DEFAULT_FROM_EMAIL = CONFIG.mail_sender
if MAIL := CONFIG.mail_server:
    EMAIL_BACKEND = "console.mail.Smtp"
    EMAIL_HOST, EMAIL_PORT, EMAIL_USE_SSL = MAIL.host, MAIL.port, MAIL.tls_from_the_start
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL.user, MAIL.password
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
SESSION_ENGINE = "console.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = CONFIG.people_use_https
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W004",  # no HSTS: whether a host name is for HTTPS alone is its owner's to say
    "security.W008",  # no redirect to HTTPS: the one port speaks either HTTP or HTTPS
] + ([] if CONFIG.serves_tls else ["security.W012", "security.W016"])  # cookies are Secure where HTTPS is served
