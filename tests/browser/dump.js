// Has a browser open a page and prints what became of it, as `chromium --dump-dom`
// does: for a build of it that has no such flag, and is asked through its pipe.

"use strict";
const { spawn } = require("child_process");
const { join } = require("path");

const given = process.argv.slice(2);
const page = given.filter((word) => !word.startsWith("-")).pop();
const flags = given.filter((word) => word.startsWith("-") && word !== "--dump-dom");
const browser = spawn(
    join(__dirname, "headless"),
    [...flags, "--no-zygote", "--remote-debugging-pipe"],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);
browser.on("error", (error) => fail(error.message));
browser.on("exit", () => fail("the browser has ended"));

// Each message is JSON, and ends with a zero.
const asked = new Map();
let heard = "";
browser.stdio[4].on("data", (data) => {
    const parts = (heard + data).split("\0");
    heard = parts.pop();
    for (const { id, result, error } of parts.map((part) => JSON.parse(part))) {
        if (error) fail(error.message);
        asked.get(id)?.(result);
    }
});

function ask(method, params, sessionId) {
    const id = asked.size + 1;
    browser.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((answered) => asked.set(id, answered));
}

function fail(why) {
    console.error(`error: ${why}`);
    browser.kill("SIGKILL");
    process.exit(1);
}

// Settled by the page itself, when all of it is there.
const expression = `new Promise((told) => {
    const tell = () => told(document.documentElement.outerHTML);
    document.readyState === "complete" ? tell() : addEventListener("load", tell);
})`;

async function main() {
    const { targetId } = await ask("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await ask("Target.attachToTarget", { targetId, flatten: true });
    const { errorText } = await ask("Page.navigate", { url: page }, sessionId);
    if (errorText) fail(errorText);
    const found = await ask("Runtime.evaluate", { expression, awaitPromise: true }, sessionId);
    browser.removeAllListeners("exit");
    browser.on("exit", () => process.stdout.write(`${found.result.value}\n`));
    await ask("Browser.close");
}

main().catch((error) => fail(error.message));
