// Makes the page from the OpenAPI document. Whatever comes from the document becomes text, never HTML.

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** Text in which `...` is code. */
function prose(text) {
  return text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
}

const api = await load();

async function load() {
  const about = document.getElementById("about");
  try {
    const answer = await fetch("/api/openapi.json");
    if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
    return await answer.json();
  } catch (error) {
    about.textContent = `The description cannot be loaded: ${error.message}`;
    throw error;
  }
}

function resolve(schema) {
  if (!schema?.$ref) return schema ?? {};
  return resolve(schema.$ref.slice(2).split("/").reduce((at, key) => at?.[key], api));
}

function typeOf(given) {
  const schema = resolve(given);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const alternatives = schema.oneOf ?? schema.anyOf;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (schema.items) return `list of ${typeOf(schema.items)}`;
  if (schema.type) return [schema.type].flat().filter((type) => type !== "null").join(" or ");
  if (alternatives) return [...new Set(alternatives.map(typeOf))].join(" or ");
  return "any JSON";
}

/** A schema's members, those that it is put together from included. */
function members(given) {
  const schema = resolve(given);
  const required = new Set(schema.required ?? []);
  const own = Object.entries(schema.properties ?? {}).map(([name, of]) => ({ name, of, required: required.has(name) }));
  return [...(schema.allOf ?? []).flatMap(members), ...own];
}

function row(name, type, required, words) {
  const soft = element("span", { class: "soft" }, type + (required ? "" : ", optional"));
  return element("tr", {}, element("td", {}, element("code", {}, name)), element("td", {}, soft), element("td", {}, ...prose(words ?? "")));
}

/** The members of a schema, and of the objects in its lists. */
function rows(given, prefix = "", depth = 0) {
  return members(given).flatMap(({ name, of, required }) => {
    const schema = resolve(of);
    const list = Boolean(schema.items);
    const first = row(prefix + name + (list ? "[]" : ""), typeOf(of), required, of.description ?? schema.description);
    const inner = list ? schema.items : of;
    return depth < 3 ? [first, ...rows(inner, `${prefix}${name}${list ? "[]" : ""}.`, depth + 1)] : [first];
  });
}

function table(all) {
  return all.length ? [element("table", { class: "fields" }, element("tbody", {}, ...all))] : [];
}

/** A body: its members, those of each of its alternatives, or its type. */
function body(schema) {
  const alternatives = resolve(schema).oneOf;
  if (alternatives) return alternatives.flatMap((one) => [element("p", { class: "soft" }, ...prose(one.description ?? "Or:")), ...body(one)]);
  const found = table(rows(schema));
  return found.length ? found : [element("p", { class: "soft" }, typeOf(schema))];
}

function content(of) {
  return Object.entries(of?.content ?? {}).flatMap(([type, { schema }]) => (type.includes("json") ? body(schema) : [element("p", { class: "soft" }, type)]));
}

function operation(path, method, of) {
  const id = `${method}-${path}`;
  const name = [element("span", { class: `method ${method}` }, method.toUpperCase()), " ", element("code", {}, path)];
  const card = element("article", { id }, element("h3", {}, ...name), element("p", {}, element("strong", {}, of.summary ?? "")));
  if (of.description) card.append(element("p", {}, ...prose(of.description)));
  const parameters = (of.parameters ?? []).map((one) => row(one.name, `${typeOf(one.schema)} in ${one.in}`, one.required, one.description));
  if (parameters.length) card.append(element("h4", {}, "Parameters"), ...table(parameters));
  if (of.requestBody) card.append(element("h4", {}, "Body"), ...content(of.requestBody));
  for (const [status, response] of Object.entries(of.responses ?? {})) {
    // What all have in common stands at the end of the page.
    if (status === "default") continue;
    card.append(element("h4", {}, `Answer ${status}`), ...(response.description ? [element("p", {}, ...prose(response.description))] : []), ...content(response));
  }
  const link = element("a", { href: `#${id}` }, method.toUpperCase(), " ", path);
  return { tag: of.tags?.[0] ?? "", card, link: element("li", {}, link, " ", element("span", { class: "soft" }, of.summary ?? "")) };
}

function problems() {
  const kinds = resolve({ $ref: "#/components/schemas/Problem" }).properties?.type?.oneOf ?? [];
  return kinds.map((kind) => {
    const id = kind.const.split("#")[1];
    return element("article", { id }, element("h3", {}, element("code", {}, id)), element("p", {}, `${kind.title}. ${kind.description}`));
  });
}

const operations = Object.entries(api.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) => operation(path, method, item[method])),
);
document.title = document.getElementById("title").textContent = `${api.info.title} ${api.info.version}: API`;
document.getElementById("about").replaceChildren(...prose(api.info.description ?? ""));
const main = document.getElementById("operations");
const contents = element("ul");
for (const tag of api.tags ?? []) {
  const own = operations.filter((one) => one.tag === tag.name);
  contents.append(...own.map((one) => one.link));
  main.append(element("h2", {}, tag.name), element("p", { class: "soft" }, ...prose(tag.description ?? "")), ...own.map((one) => one.card));
}
main.append(element("h2", { id: "problems" }, "problems"), element("p", { class: "soft" }, "What errors say (RFC 9457): type, title, status, and detail about the very request."), ...problems());
contents.append(element("li", {}, element("a", { href: "#problems" }, "Problems")));
document.getElementById("contents").append(contents);
// What the address names was not there yet when the browser looked for it.
if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
