// npm_etcd3.js: each service once through the npm client etcd3, against ETCD_ADDR.
const assert = require('assert');
const { Etcd3 } = require('etcd3');

const tests = {
  async 'put, get, delete'(client) {
    await client.put('a').value('1');
    assert.strictEqual(await client.get('a').string(), '1');
    assert.strictEqual(await client.get('a').number(), 1);
    const gone = await client.delete().key('a');
    assert.strictEqual(gone.deleted, '1');
    assert.strictEqual(await client.get('a'), null);
  },
  async 'prefix, limit, sort'(client) {
    for (const k of ['p/1', 'p/2', 'p/3', 'q/1']) await client.put(k).value(k);
    assert.deepStrictEqual(await client.getAll().prefix('p/').keys(), ['p/1', 'p/2', 'p/3']);
    const sorted = await client.getAll().prefix('p/').sort('Key', 'Descend').limit(2).keys();
    assert.deepStrictEqual(sorted, ['p/3', 'p/2']);
    assert.strictEqual(await client.getAll().prefix('p/').count(), 3);
    assert.strictEqual((await client.delete().prefix('p/')).deleted, '3');
  },
  async 'transaction'(client) {
    await client.put('t').value('1');
    const run = () => client.if('t', 'Value', '==', '1')
      .then(client.put('t').value('2')).else(client.get('t')).commit();
    assert.strictEqual((await run()).succeeded, true);
    const second = await run();
    assert.strictEqual(second.succeeded, false);
    assert.strictEqual(second.responses[0].response_range.kvs[0].value.toString(), '2');
  },
  async 'watch'(client) {
    const watcher = await client.watch().prefix('w/').create();
    const seen = [];
    const all = new Promise(resolve => {
      watcher.on('put', kv => seen.push(`put ${kv.key}`));
      watcher.on('delete', kv => { seen.push(`delete ${kv.key}`); resolve(); });
    });
    await client.put('w/1').value('x');
    await client.put('w/2').value('x');
    await client.delete().key('w/1');
    await all;
    await watcher.cancel();
    assert.deepStrictEqual(seen, ['put w/1', 'put w/2', 'delete w/1']);
  },
  async 'lease'(client) {
    const lease = client.lease(60);
    await lease.put('l').value('x');
    await lease.keepaliveOnce();
    await lease.revoke();
    assert.strictEqual(await client.get('l'), null);
  },
  async 'lock'(client) {
    const lock = await client.lock('lock').acquire();
    await assert.rejects(client.lock('lock').acquire(), /lock/i);
    await lock.release();
    await (await client.lock('lock').acquire()).release();
  },
  async 'election'(client) {
    const election = client.election('e', 10);
    const campaign = election.campaign('one');
    await new Promise((resolve, reject) => campaign.on('elected', resolve).on('error', reject));
    assert.strictEqual(await election.leader(), 'one');
    await campaign.resign();
  },
  async 'stm'(client) {
    await client.put('n').value(0);
    const add = () => client.stm({ retries: 50 }).transact(async tx => {
      await tx.put('n').value((await tx.get('n').number()) + 1);
    });
    await Promise.all([add(), add(), add(), add(), add()]);
    assert.strictEqual(await client.get('n').number(), 5);
  },
  async 'maintenance'(client) {
    assert.match((await client.maintenance.status()).version, /^\d+\.\d+\.\d+/);
    assert.strictEqual((await client.cluster.memberList({})).members.length, 1);
  },
};

(async () => {
  const client = new Etcd3({ hosts: `http://${process.env.ETCD_ADDR}` });
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    try {
      await test(client);
    } catch (error) {
      failed++;
      console.log(`npm etcd3: ${name}: ${error.stack}`);
    }
  }
  client.close();
  console.log(`npm etcd3: ${Object.keys(tests).length - failed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
})();
