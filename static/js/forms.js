// Help inside forms: the shard calculator, and files that are too large. The server checks everything again.

const SHARD_BYTES = 1048576;
const SHARD_RECORDS = 1000;

class ShardCalculator extends HTMLElement {
  connectedCallback() {
    this.field = document.getElementById(this.dataset.field);
    this.addEventListener("input", (event) => {
      event.stopPropagation();
      this.tell();
    });
    this.querySelector("[data-use]").addEventListener("click", (event) => {
      event.preventDefault();
      this.use();
    });
  }

  needed() {
    const rate = Number(this.querySelector("[data-rate]").value);
    const size = Number(this.querySelector("[data-size]").value) * 1024;
    if (!(rate > 0 && size > 0)) return null;
    return { rate, size, shards: Math.max(Math.ceil((rate * size) / SHARD_BYTES), Math.ceil(rate / SHARD_RECORDS)) };
  }

  tell() {
    const needed = this.needed();
    const output = this.querySelector("output");
    if (!needed) {
      output.textContent = "How many shards do I need? Fill in both.";
      return;
    }
    const busy = Math.round(100 * Math.max((needed.rate * needed.size) / SHARD_BYTES, needed.rate / SHARD_RECORDS) / needed.shards);
    output.textContent = `${needed.shards} ${needed.shards === 1 ? "shard" : "shards"}, each ${busy}% full if the keys are spread evenly. Leave room for peaks.`;
  }

  use() {
    const needed = this.needed();
    if (!needed) {
      this.querySelector("[data-rate]").focus();
      return;
    }
    this.field.value = needed.shards;
    this.field.dispatchEvent(new Event("input", { bubbles: true }));
    this.field.focus();
  }
}
customElements.define("shard-calculator", ShardCalculator);

for (const input of document.querySelectorAll("input[type=file][data-max-bytes]")) {
  input.addEventListener("change", () => {
    const most = Number(input.dataset.maxBytes);
    const large = [...input.files].some((file) => file.size > most);
    input.setCustomValidity(large ? `A file of more than ${Math.floor(most / 1048576)} MiB cannot be sent at once. Split it.` : "");
    if (large) input.reportValidity();
  });
}
