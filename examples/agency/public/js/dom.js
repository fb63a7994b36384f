// Small helpers for making elements. Text is always set as text, never as markup.

const svgNS = "http://www.w3.org/2000/svg";

/** h("p", {class: "lede", hidden: true}, "text", child): an element. null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null && child !== false));
  return node;
}

/** A decorative icon from img/icons.svg. */
export function icon(name, className = "icon") {
  const svg = document.createElementNS(svgNS, "svg");
  svg.setAttribute("class", className);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(svgNS, "use");
  use.setAttribute("href", `/img/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

/** Five stars as text for eyes and as words for screen readers. */
export function stars(rating) {
  return h("span", { class: "stars", role: "img", "aria-label": `${rating} of 5 stars` },
    h("span", { "aria-hidden": "true" }, "★".repeat(rating)),
    h("span", { "aria-hidden": "true", class: "stars-off" }, "★".repeat(5 - rating)));
}
