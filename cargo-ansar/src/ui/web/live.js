"use strict";
// Shows what the stream of messages tells, and asks the server to run commands.
// Text of roles becomes text, never markup; only the part of the last run is
// markup, which the server has escaped.
const id = (name) => document.getElementById(name);
const element = (name, text = "", kind = "") => {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
// Tells a screen reader. It reads what is added.
function say(text) {
  const said = id("said");
  said.append(element("p", text));
  while (said.childElementCount > 10) said.firstChild.remove();
}

// The token of the link is used up.
const place = document.body.dataset.place;
history.replaceState(null, "", place);

// Without a message for this long, the server is not there. It sends one every
// two seconds.
const SILENCE = 6000;
let stream = null;
let silence = null;
let broken = false;

function connection(text) {
  const banner = id("connection");
  broken = text !== "";
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !broken;
  for (const button of document.querySelectorAll("button[data-command]")) button.disabled = broken;
}

function connect() {
  stream?.close();
  const choice = {
    roles: id("role").value ? [id("role").value] : [],
    level: id("level").value,
    pattern: id("pattern").value,
    lines: Number(id("lines").value),
  };
  let fresh = true;
  stream = new EventSource(place + "events?" + encodeURIComponent(JSON.stringify(choice)));
  stream.onopen = () => { fresh = true; };
  stream.onmessage = ({ data }) => {
    if (broken) say("connected again");
    connection("");
    listen();
    if (fresh) {
      fresh = false;
      id("lines-shown").replaceChildren();
      id("filter-error").hidden = true;
    }
    const { message, ...told } = JSON.parse(data);
    show[message](told);
  };
  stream.onerror = refused;
  listen();
}

function listen() {
  clearTimeout(silence);
  silence = setTimeout(() => connection("The server does not answer. What is shown is old; trying again."), SILENCE);
}

// A stream that was refused is not tried again by the browser: asks why.
async function refused() {
  if (stream.readyState !== EventSource.CLOSED) {
    connection("The connection is lost. What is shown is old; trying again.");
    return;
  }
  clearTimeout(silence);
  const url = stream.url;
  const stop = new AbortController();
  try {
    const answer = await fetch(url, { signal: stop.signal });
    if (answer.status === 403) {
      connection("This page belongs to a server that has ended. Open the link that `cargo ansar ui --web` printed last.");
    } else if (answer.status === 400) {
      id("filter-error").textContent = (await answer.text()).trim();
      id("filter-error").hidden = false;
    } else {
      setTimeout(connect, 1000);
    }
  } catch {
    connection("The server has ended or cannot be reached. What is shown is old; trying again.");
    setTimeout(connect, 1000);
  } finally {
    stop.abort();
  }
}

async function run(command, roles = []) {
  say([command, ...roles].join(" "));
  try {
    const answer = await fetch(place + "run", { method: "POST", body: JSON.stringify({ command, roles }) });
    if (!answer.ok) say(await answer.text());
  } catch {
    connection("The server has ended or cannot be reached. What is shown is old; trying again.");
  }
}

const jobs = new Map();
const rows = new Map();
const show = {
  roles({ rows: all, counts }) {
    id("counts").replaceChildren(...counts.map(([name, count]) => element("span", `${count} ${name}`, `badge ${name}`)));
    const shown = all.map((row) => (row.group ? group(row.group) : role(row.role)));
    const body = id("running").tBodies[0];
    for (const [name, row] of rows) if (!shown.includes(row)) rows.delete(name);
    // Rows that stay keep their place, and so the focus.
    if (shown.length !== body.rows.length || shown.some((row, nth) => row !== body.rows[nth])) {
      const focus = document.activeElement;
      body.replaceChildren(...shown);
      if (body.contains(focus)) focus.focus();
    }
    id("no-roles").hidden = all.length > 0;
    choices(all.filter((row) => row.role).map((row) => row.role.name));
  },
  logs({ gone, lines, searching }) {
    const log = id("lines-shown");
    for (let left = gone; left > 0 && log.firstChild; left--) log.firstChild.remove();
    const wide = lines.reduce((wide, line) => Math.max(wide, line.role.length), 0) + 1;
    if (wide > (parseInt(log.style.getPropertyValue("--names")) || 0)) log.style.setProperty("--names", `${wide}ch`);
    log.append(...lines.map((line) => {
      const shown = element("div", "", line.level);
      shown.append(element("time", line.time), element("b", line.role), (line.is_continued ? "  " : "") + line.text);
      return shown;
    }));
    if (id("follow").checked) log.scrollTop = log.scrollHeight;
    const empty = log.childElementCount === 0;
    id("log-state").textContent = searching ? `searching, at ${searching}` : empty ? "no line passes the filter" : "";
  },
  run({ run }) {
    const verdict = id("run-verdict");
    verdict.replaceChildren();
    id("run-about").textContent = run ? run.about : "no run yet";
    if (run) {
      verdict.append(element("span", run.verb, `badge ${run.class}`), run.summary);
      say(`last run: ${run.verb}, ${run.summary}`);
    }
    id("run").innerHTML = run ? run.html : "";
  },
  job({ id: number, title, line, success }) {
    let job = jobs.get(number);
    if (!job) {
      job = { shown: element("li"), text: element("pre"), state: element("span", "runs", "role") };
      const details = element("details");
      const summary = element("summary");
      summary.append(element("span", title, "mono"), job.state);
      details.append(summary, job.text);
      job.shown.append(details);
      jobs.set(number, job);
      id("jobs").append(job.shown);
      while (jobs.size > 5) {
        const [oldest, { shown }] = jobs.entries().next().value;
        shown.remove();
        jobs.delete(oldest);
      }
    }
    if (line !== null) {
      job.text.append(line + "\n");
      job.state.textContent = line;
    }
    if (success !== null) {
      job.done = true;
      job.state.textContent = success ? "done" : "failed";
      job.state.className = success ? "passed" : "failed";
      if (!success || title.startsWith("why ")) job.shown.firstChild.open = true;
      say(`${title}: ${success ? "done" : "failed"}`);
    }
    id("interrupt").disabled = [...jobs.values()].every(({ done }) => done);
  },
  trouble({ text }) {
    id("log-state").textContent = text;
    say(text);
  },
};

function group({ name, ready, roles }) {
  const key = `group ${name}`;
  const row = rows.get(key) ?? element("tr", "", "group");
  const text = `${name} ${ready}/${roles}`;
  if (row.textContent !== text) {
    const head = element("th", text);
    head.colSpan = 8;
    head.scope = "rowgroup";
    row.replaceChildren(head);
  }
  rows.set(key, row);
  return row;
}

function role(now) {
  let row = rows.get(now.name);
  if (!row) {
    row = element("tr");
    const name = element("th", now.name, "mono");
    name.scope = "row";
    row.append(name, ...Array.from({ length: 7 }, () => element("td")));
    for (const nth of [2, 3, 4]) row.cells[nth].className = "number";
    for (const nth of [5, 6]) row.cells[nth].className = "mono";
    const buttons = now.is_test ? [["start", "Run"]] : [["start", "Start"], ["restart", "Restart"], ["stop", "Stop"]];
    for (const [command, text] of [...buttons, ["why", "Why"]]) {
      const button = element("button", text);
      button.type = "button";
      button.dataset.command = command;
      button.dataset.role = now.name;
      button.setAttribute("aria-label", `${text} ${now.name}`);
      row.cells[7].append(button, " ");
    }
    rows.set(now.name, row);
  }
  if (row.dataset.state && row.dataset.state !== now.state) say(`${now.name} ${now.state} ${now.reason}`);
  row.dataset.state = now.state;
  const parts = [element("span", now.state, `badge ${now.state}`)];
  if (now.restarts) parts.push(element("span", `${now.restarts} restart${now.restarts === 1 ? "" : "s"}`, "again"));
  if (now.reason) parts.push(element("span", now.reason, "reason"));
  row.cells[1].replaceChildren(...parts);
  const texts = [now.since, now.cpu, now.memory, now.addresses.join(" "), now.process ?? ""];
  texts.forEach((text, nth) => { row.cells[nth + 2].textContent = text; });
  const buttons = [...row.cells[7].children];
  const focus = buttons.find((button) => button === document.activeElement);
  for (const button of buttons) {
    const { command } = button.dataset;
    if (!now.is_test && command !== "why") button.hidden = (command === "start") === now.is_running;
  }
  if (focus?.hidden) buttons.find((button) => !button.hidden).focus();
  return row;
}

// The roles to choose from; the chosen one stays, also while it is gone.
function choices(names) {
  const select = id("role");
  const known = [...select.options].slice(1).map(({ value }) => value);
  const wanted = select.value && !names.includes(select.value) ? [...names, select.value] : names;
  if (known.join() === wanted.join()) return;
  const chosen = select.value;
  select.replaceChildren(select.options[0], ...wanted.map((name) => new Option(name, name)));
  select.value = chosen;
}

document.addEventListener("click", ({ target }) => {
  const { command, role } = target.dataset ?? {};
  if (command) run(command, role ? [role] : []);
});
id("interrupt").onclick = () => fetch(place + "interrupt", { method: "POST" });
id("filter").onsubmit = (event) => { event.preventDefault(); connect(); };
for (const name of ["role", "level", "lines", "pattern"]) id(name).onchange = connect;
id("follow").onchange = () => { id("lines-shown").scrollTop = id("lines-shown").scrollHeight; };
id("lines-shown").onwheel = ({ deltaY }) => { if (deltaY < 0) id("follow").checked = false; };
connect();
