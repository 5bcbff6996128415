// What the attacker wants: a name, and for some goals their parameters.

import { byId } from "./dom.js";

const select = byId("goal");
const homes = [...document.querySelectorAll("[data-goal]")];

/** Shows the fields of the goal that is chosen, and no others. */
export function startGoal() {
  const show = () => {
    const goal = select.value;
    for (const home of homes) home.hidden = !home.dataset.goal.split(" ").includes(goal);
    if (goal === "grow" || goal === "shrink") byId("goal-percent").closest(".field").dataset.pointer = `/spec/goal/${goal}`;
  };
  select.addEventListener("change", show);
  show();
}

/**
 * The goal as a request has it.
 * @param {(pointer: string, detail: string) => void} missing is told what has to be given
 * @returns {string | object}
 */
export function readGoal(missing) {
  const goal = select.value;
  const number = (id, pointer) => {
    const { value } = byId(id);
    if (value === "") missing(pointer, "give a number");
    return Number(value);
  };
  switch (goal) {
    case "shift":
      return {
        shift: {
          dx_px: number("goal-dx", "/spec/goal/shift/dx_px"),
          dy_px: number("goal-dy", "/spec/goal/shift/dy_px"),
        },
      };
    case "grow":
    case "shrink":
      return { [goal]: { percent: number("goal-percent", `/spec/goal/${goal}`) } };
    case "swap": {
      const prompt = byId("goal-prompt").value.trim();
      if (!prompt) missing("/spec/goal/swap/prompt", "name the other structure");
      return { swap: { prompt } };
    }
    default:
      return goal;
  }
}
