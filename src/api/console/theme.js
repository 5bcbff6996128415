// Light, dark or as the system has it. Loaded before the first paint, so that a chosen theme does not flash.
(() => {
  const order = ["auto", "light", "dark"];
  const stored = localStorage.getItem("segprobe.theme");
  let theme = order.includes(stored) ? stored : "auto";
  const apply = () => (document.documentElement.dataset.theme = theme);
  apply();

  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const label = () => (button.textContent = `Theme: ${theme}`);
    label();
    button.addEventListener("click", () => {
      theme = order[(order.indexOf(theme) + 1) % order.length];
      localStorage.setItem("segprobe.theme", theme);
      apply();
      label();
    });
  });
})();
