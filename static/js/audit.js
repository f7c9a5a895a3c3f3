// The audit log: the row that is open is marked, and on narrow screens the entry comes into sight.

document.body.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "entry") return;
  const open = new URLSearchParams(location.search).get("entry");
  for (const row of document.querySelectorAll(".audit-tbl tbody tr")) {
    const link = row.querySelector("a");
    row.toggleAttribute("aria-selected", false);
    if (link && new URL(link.href).searchParams.get("entry") === open) row.setAttribute("aria-selected", "true");
  }
  if (matchMedia("(max-width: 1180px)").matches) event.target.scrollIntoView({ block: "start" });
});
