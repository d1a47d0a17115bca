"use strict";
// Asks for the state five times a second and shows it. Every text goes in as text, never as markup.
const get = (id) => document.getElementById(id);
const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const percent = (value) => (value === null || value === undefined ? "–" : `${(100 * value).toFixed(0)} %`);

function row(table, name, value) {
  const line = table.insertRow();
  line.insertCell().textContent = name;
  line.insertCell().textContent = value;
}

function showCommand(id, values) {
  values.forEach((value, index) => { get(id).cells[index + 1].textContent = number(value); });
}

function showEvents(events) {
  const list = get("events");
  list.replaceChildren(...events.map((event) => {
    const line = document.createElement("li");
    const time = document.createElement("time");
    time.textContent = `${number(event.time, 1)} s`;
    line.append(time, `${event.source}: ${event.text}`);
    if (event.warning) line.className = "warning";
    return line;
  }));
}

function show(state) {
  get("policy").textContent = `${state.card.task} · ${state.card.network} · real flights: ${state.card.real_flights}`;
  get("stale").textContent = state.age === null ? "no turn of the loop yet"
    : state.age > 1 ? `the loop has been silent for ${number(state.age, 1)} s` : "";
  showEvents(state.events);
  if (state.sent === undefined) return;
  showCommand("command", state.command);
  showCommand("sent", state.sent);
  const acting = Object.entries(state.guard);
  get("guard").textContent = acting.length ? acting.map(([rule, action]) => `${rule}: ${action}`).join(" · ") : "lets everything through";
  get("guard").className = acting.some(([rule]) => rule !== "rates") ? "warning" : "quiet";
  const link = get("link");
  link.replaceChildren();
  if (state.link) {
    get("authority").textContent = `authority: ${state.link.authority} · ${state.link.mode}`;
    row(link, "mode", `${state.link.mode}${state.link.armed ? ", armed" : ", disarmed"}`);
    row(link, "battery", `${percent(state.link.battery)} ${state.link.voltage === null ? "" : `${number(state.link.voltage, 1)} V`}`);
    row(link, "heartbeat", `${number(state.link.heartbeat_age, 1)} s ago`);
    row(link, "messages lost", percent(state.link.loss));
    row(link, "round trip", state.link.round_trip === null ? "–" : `${number(1000 * state.link.round_trip, 0)} ms`);
    row(link, "estimate", state.link.estimate_ok === null ? "says nothing" : state.link.estimate_ok ? "good" : "BAD");
  }
  row(link, "position", state.position.map((value) => number(value, 1)).join(", "));
  row(link, "speed", `${number(state.speed)} m/s`);
  const loop = get("loop");
  loop.replaceChildren();
  row(loop, "image to setpoint", `${number(state.latency_ms)} ms`);
  row(loop, "frames", state.frames);
  row(loop, "late commands", state.late);
  row(loop, "demand", state.demand);
}

let looked = 0;
async function look() {
  const camera = get("camera");
  if (!get("attention").checked) {
    get("unseen").textContent = "";
    camera.src = `/picture?at=${Date.now()}`;
  } else if (Date.now() - looked > 500) {
    looked = Date.now();
    const answer = await fetch("/attention", { signal: AbortSignal.timeout(5000) });
    get("unseen").textContent = answer.ok ? "" : await answer.text();
    if (answer.ok) camera.src = `/attention?at=${looked}`;
  }
}

async function refresh() {
  try {
    const answer = await fetch("/state", { signal: AbortSignal.timeout(2000) });
    if (!answer.ok) throw new Error(await answer.text());
    show(await answer.json());
    await look();
  } catch (error) {
    get("stale").textContent = `no answer from the flight computer (${error.message})`;
  }
  setTimeout(refresh, 200);
}

get("hold").addEventListener("click", async () => {
  try {
    const answer = await fetch("/hold", { method: "POST", headers: { "X-Navstack": "hold" } });
    get("answer").textContent = answer.ok ? "hold was asked for: watch mode and authority" : "refused";
  } catch (error) {
    get("answer").textContent = `hold was NOT asked for (${error.message}): use the pilot's switch`;
  }
});
refresh();
