// The point of a split, chosen on the map of what is now or by a slider. Hash keys have 39 digits: BigInt, never Number.

const SPACE = 1n << 128n;
const STEPS = 1_000_000n;

const form = document.querySelector("[data-split]");
const shard = form.elements.shard;
const slide = document.getElementById("split-slide");
form.querySelector("[data-split-slide]").hidden = false;

function range(option) {
  return [BigInt(option.dataset.start), BigInt(option.dataset.end)];
}

function choose(option, at) {
  const [start, end] = range(option);
  shard.value = option.value;
  form.elements.how.value = "at";
  form.elements.at.value = String(at <= start + 1n ? start + 2n : at >= end ? end - 1n : at);
  place();
  form.elements.at.dispatchEvent(new Event("change", { bubbles: true }));
}

/** The slider where the number is. */
function place() {
  const [start, end] = range(shard.selectedOptions[0]);
  if (!/^\d{1,39}$/.test(form.elements.at.value)) return;
  slide.value = String(((BigInt(form.elements.at.value) - start) * 1000n) / (end - start));
}

slide.addEventListener("change", (event) => {
  event.stopPropagation();
  const option = shard.selectedOptions[0];
  const [start, end] = range(option);
  choose(option, start + ((end - start) * BigInt(slide.value)) / 1000n);
});

form.addEventListener("click", (event) => {
  const map = event.target.closest("[data-split-map] > svg");
  if (!map) return;
  const box = map.getBoundingClientRect();
  const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
  const at = (SPACE * BigInt(Math.round(share * Number(STEPS)))) / STEPS;
  const option = [...shard.options].find((one) => range(one)[0] <= at && at <= range(one)[1]);
  if (option) choose(option, at);
});

form.elements.at.addEventListener("input", place);
place();
