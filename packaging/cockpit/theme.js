// SPDX-License-Identifier: Apache-2.0
// Light or dark as the user has told Cockpit: the shell keeps it in its storage, and tells its frames by an event.

const dark = window.matchMedia("(prefers-color-scheme: dark)");

function apply(told) {
  let style = told;
  if (!style) style = window.localStorage.getItem("shell:style") || "auto";
  const isDark = style === "dark" || (style === "auto" && dark.matches);
  document.documentElement.classList.toggle("dark", isDark);
}

export function followTheme() {
  window.addEventListener("storage", (event) => {
    if (event.key === "shell:style") apply();
  });
  window.addEventListener("cockpit-style", (event) => apply(event.detail?.style));
  dark.addEventListener("change", () => apply());
  apply();
}
