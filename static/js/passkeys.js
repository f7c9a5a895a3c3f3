// Passkeys: the browser's part of adding one and of signing in with one. A form carries what to ask (data-options, or
// data-source for an address that tells it) and gets the answer in its field `credential`.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const withBytes = (list) => list?.map((one) => ({ ...one, id: bytes(one.id) }));

function prepared({ publicKey: key }) {
  const ready = { ...key, challenge: bytes(key.challenge) };
  if (key.user) ready.user = { ...key.user, id: bytes(key.user.id) };
  if (key.excludeCredentials) ready.excludeCredentials = withBytes(key.excludeCredentials);
  if (key.allowCredentials) ready.allowCredentials = withBytes(key.allowCredentials);
  return ready;
}

function written(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  const { id, type, authenticatorAttachment } = credential;
  return { id, rawId: text(credential.rawId), type, response, authenticatorAttachment, clientExtensionResults: credential.getClientExtensionResults() };
}

async function ask(form) {
  const { options, source } = form.dataset;
  const given = source ? (await (await fetch(source, { headers: { Accept: "application/json" } })).json()).request_options : JSON.parse(options);
  const publicKey = prepared(given);
  if (form.dataset.passkey === "get") return navigator.credentials.get({ publicKey });
  const alone = form.elements.passwordless.checked;
  publicKey.authenticatorSelection = {
    residentKey: alone ? "required" : "discouraged",
    requireResidentKey: alone,
    userVerification: alone ? "required" : "preferred",
  };
  return navigator.credentials.create({ publicKey });
}

const SAID = {
  NotAllowedError: "No passkey was chosen, or it took too long. Try again.",
  InvalidStateError: "This device has a passkey for your account already.",
  NotSupportedError: "This device cannot make such a passkey.",
};

function say(form, error) {
  const place = form.querySelector("[data-passkey-error]");
  const elsewhere = form.dataset.host && form.dataset.host !== location.origin;
  place.textContent = elsewhere ? `Passkeys belong to ${form.dataset.host}. Open the console there.` : SAID[error.name] ?? "The passkey did not work. Try again.";
  place.hidden = false;
}

for (const form of document.querySelectorAll("[data-passkey]")) {
  if (!window.PublicKeyCredential) continue;
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    if (form.elements.credential.value) return;
    event.preventDefault();
    try {
      form.elements.credential.value = JSON.stringify(written(await ask(form)));
      form.requestSubmit();
    } catch (error) {
      form.elements.credential.value = "";
      form.querySelectorAll("button").forEach((button) => { button.disabled = false; });
      say(form, error);
    }
  });
}
