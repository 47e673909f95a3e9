"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const details = JSON.parse($("data").textContent);
  const table = $("table");
  const heads = [...table.tHead.rows[0].cells];
  const headings = heads.map((cell) => cell.textContent);
  // A row and what is known of its run stand at the same place.
  const rows = [...table.tBodies[0].rows].map((row, i) => ({
    row,
    run: details.runs[i],
    cells: [...row.cells].map((cell) => cell.textContent),
    text: `${details.runs[i].id} ${row.textContent}`.toLowerCase(),
  }));

  // Theme: the system's until somebody presses the button.
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const showTheme = () => $("theme").setAttribute("aria-pressed", String(isDark()));
  $("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  system.addEventListener("change", showTheme);
  $("theme").hidden = false;
  showTheme();

  // Sorting: texts as texts, the rest by the number they begin with; cells without one stay last either way.
  const number = (text) => {
    const value = parseFloat(text.replace(/,/g, ""));
    return Number.isNaN(value) ? null : value;
  };
  const { compare } = new Intl.Collator("en");
  const sortable = (table, rows) => {
    const heads = [...table.tHead.rows[0].cells];
    const sort = (heading, column) => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = heading.className === "text" ? (text) => text : number;
      const keyed = rows.map(({ cells, row }) => [key(cells[column]), row]);
      keyed.sort(([a], [b]) => {
        if (a === null || b === null) return (a === null) - (b === null);
        const order = typeof a === "number" ? a - b : compare(a, b);
        return down ? -order : order;
      });
      table.tBodies[0].append(...keyed.map(([, row]) => row));
    };
    heads.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      button.addEventListener("click", () => sort(heading, column));
      heading.replaceChildren(button);
      heading.setAttribute("aria-sort", "none");
    });
  };
  sortable(table, rows);

  // Tables of methods: sorted like the runs, by name filtered, columns hidden; the headline score always stays.
  for (const methods of document.querySelectorAll("table.methods")) {
    const tools = methods.closest("section").querySelector(".tools");
    const titles = [...methods.tHead.rows[0].cells].map((cell) => cell.textContent);
    const lines = [...methods.tBodies[0].rows].map((row) => ({ row, cells: [...row.cells].map((cell) => cell.textContent) }));
    sortable(methods, lines);
    const search = tools.querySelector("input");
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/);
      for (const { row, cells } of lines) row.hidden = !words.every((word) => cells[0].toLowerCase().includes(word));
    });
    titles.forEach((title, column) => {
      if (column < (methods.classList.contains("led") ? 2 : 1)) return;
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.checked = true;
      box.addEventListener("change", () => {
        for (const row of methods.rows) row.cells[column].hidden = !box.checked;
      });
      label.append(box, ` ${title}`);
      tools.querySelector(".columns").append(label);
    });
    tools.addEventListener("submit", (event) => event.preventDefault());
    tools.hidden = false;
  }

  // Films: still where the reader asks for less motion, and at the press of a button.
  const less = matchMedia("(prefers-reduced-motion: reduce)");
  for (const button of document.querySelectorAll(".pause")) {
    const source = button.closest("figure").querySelector("source");
    const show = (still) => {
      source.media = still ? "all" : "not all";
      button.textContent = still ? "Play" : "Pause";
    };
    button.addEventListener("click", () => show(source.media !== "all"));
    less.addEventListener("change", () => show(less.matches));
    show(less.matches);
    button.hidden = false;
  }

  // Filters: every word of the text must occur in the row or in the run's id.
  const columns = { method: "Method", dataset: "Data set", status: "Status" };
  const choices = Object.keys(columns).filter($);
  const filter = () => {
    const words = $("text").value.toLowerCase().split(/\s+/);
    const wanted = choices.map((name) => [headings.indexOf(columns[name]), $(name).value]).filter(([, value]) => value);
    let left = 0;
    for (const { row, cells, text } of rows) {
      const kept = words.every((word) => text.includes(word)) && wanted.every(([at, value]) => cells[at] === value);
      row.hidden = !kept;
      left += kept;
    }
    $("count").value = `${left} of ${rows.length} runs`;
  };
  for (const event of ["input", "change"]) $("filters").addEventListener(event, filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("filters").hidden = false;
  filter();

  // Curves.
  const svg = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const short = (value) => String(Number(value.toPrecision(4)));
  const thousands = (value) => (value >= 1e6 ? `${short(value / 1e6)}M` : value >= 1e4 ? `${short(value / 1e3)}k` : short(value));
  const linear = (low, high, count) => {
    const raw = (high - low) / count;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw);
    const out = [];
    for (let i = Math.ceil(low / step); i * step <= high + 1e-9 * step; i++) out.push(Number((i * step).toPrecision(12)));
    return out;
  };
  const powers = (low, high) => {
    const all = [];
    for (let p = Math.floor(Math.log10(low)); p <= Math.log10(high); p++) all.push(...[1, 2, 5].map((m) => m * 10 ** p));
    const inside = all.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
    return inside.length <= 5 ? inside : inside.filter((tick) => /^[^25]*$/.test(short(tick)));
  };
  const chart = (steps, curves, name, title, target) => {
    const [width, height, left, right, top, bottom] = [340, 210, 46, 10, 24, 36];
    const values = [...curves[name], ...(target || [])].filter((value) => value !== null);
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const log = name !== "kl" && low > 0 && high > 8 * low;
    if (!log) {
      if (low > 0 && (name === "kl" || low < 0.5 * high)) low = 0;
      const margin = (high - low || Math.abs(high) || 1) * 0.05;
      [low, high] = [low === 0 ? 0 : low - margin, high + margin];
    }
    const warp = log ? Math.log10 : (value) => value;
    const last = steps[steps.length - 1];
    const x = (step) => left + (step / (last || 1)) * (width - left - right);
    const y = (value) => height - bottom - ((warp(value) - warp(low)) / (warp(high) - warp(low) || 1)) * (height - top - bottom);
    const end = curves[name].filter((value) => value !== null).pop();
    const label = `${title}${log ? ", logarithmic axis" : ""}`;
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${label}, against steps; at the end ${short(end)}` });
    for (const tick of log ? powers(low, high) : linear(low, high, 4)) {
      picture.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
      picture.append(svg("text", { x: left - 5, y: y(tick) + 4, "text-anchor": "end" }, thousands(tick)));
    }
    for (const tick of linear(0, last || 1, 5)) {
      picture.append(svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: top, y2: height - bottom }));
      const anchor = x(tick) > width - right - 12 ? "end" : "middle";
      picture.append(svg("text", { x: anchor === "end" ? width - 2 : x(tick), y: height - bottom + 15, "text-anchor": anchor }, thousands(tick)));
    }
    picture.append(svg("text", { x: 4, y: 14 }, label));
    picture.append(svg("text", { x: (left + width - right) / 2, y: height - 5, "text-anchor": "middle" }, "Steps"));
    const path = (list) => {
      let pen = "M";
      return list.map((value, i) => {
        if (value === null) { pen = "M"; return ""; }
        const point = `${pen}${x(steps[i]).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = "L";
        return point;
      }).join("");
    };
    if (target) picture.append(svg("path", { class: "target", d: path(target) }));
    picture.append(svg("path", { class: "curve", d: path(curves[name]) }));
    return picture;
  };

  // The drawer of a run.
  const entry = (heading, text) => {
    const box = document.createElement("div");
    box.append(document.createElement("dt"), document.createElement("dd"));
    box.firstChild.textContent = heading;
    box.lastChild.textContent = text;
    return box;
  };
  const paragraph = (text) => {
    const element = document.createElement("p");
    element.className = "note";
    element.textContent = text;
    return element;
  };
  const drawCurves = (steps, curves) => {
    if (!steps) return [paragraph("This run has no curves: nothing was trained step by step.")];
    const titles = { reconstruction: "Reconstruction (nats/image)", kl: "KL (nats)", beta: "beta, the weight on the KL" };
    const drawn = Object.entries(titles).filter(([name]) => curves && curves[name]).map(([name, title]) => {
      const target = name === "kl" ? curves.set_point : undefined;
      return chart(steps, curves, name, target ? `${title}; dashed: set point` : title, target);
    });
    return drawn.length ? drawn : [paragraph("No finite value was recorded.")];
  };
  const showPictures = (run) => {
    const out = Object.entries(run.pictures || {}).map(([name, uri]) => {
      const card = document.createElement("div");
      const image = document.createElement("img");
      image.src = uri;
      image.alt = name === "traversals"
        ? "Traversals: a row per latent, largest KL first, from -3 to 3"
        : "Originals above, reconstructions below";
      card.className = "card";
      card.tabIndex = 0;
      card.append(image);
      const box = document.createElement("figure");
      const caption = document.createElement("figcaption");
      caption.textContent = image.alt;
      box.append(card, caption);
      return box;
    });
    const rest = (run.files || []).filter((file) => !Object.keys(run.pictures || {}).some((name) => file.endsWith(`/${name}.png`)));
    if (rest.length) out.push(paragraph(`In the folder of the study's results: ${rest.join(", ")}. Pictures of the lowest seed of each method are in this page.`));
    return out.length ? out : [paragraph("None are stored.")];
  };
  const open = ({ run, cells }) => {
    const seed = cells[headings.indexOf("Seed")];
    $("d-title").textContent = `${cells[0]}, seed ${seed}`;
    $("d-run").textContent = run.id;
    $("d-error").textContent = run.error || "";
    $("d-error").hidden = !run.error;
    $("d-curves").replaceChildren(...drawCurves(details.steps[run.steps], run.curves));
    $("d-pictures").replaceChildren(...showPictures(run));
    const scores = cells.map((text, i) => [headings[i], text]).slice(1);
    $("d-scores").replaceChildren(...scores.filter(([, text]) => text).map(([a, b]) => entry(a, b)));
    $("d-facts").replaceChildren(...run.lines.map((i) => entry(...details.lines[i])));
    $("d-command").textContent = details.commands[run.command].replace("--seeds {}-{}", `--seeds ${seed}-${seed}`);
    $("drawer").showModal();
    $("drawer").scrollTop = 0;
  };
  for (const each of rows) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = each.cells[0];
    each.row.cells[0].replaceChildren(button);
    each.row.addEventListener("click", () => { if (!String(getSelection())) open(each); });
  }
  $("close").addEventListener("click", () => $("drawer").close());
  $("drawer").addEventListener("click", (event) => { if (event.target === $("drawer")) $("drawer").close(); });
})();
