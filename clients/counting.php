<?php
// phpredis and Predis, unchanged, while the primary is killed: counting.php PORT PORT PORT
//
// Debian has them, in the versions of its release. Counters count up through the nodes that stay; half way the
// primary's process is killed with kill -9. No error, and exactly as much as was acknowledged.
require 'Predis/Autoloader.php';
Predis\Autoloader::register();

const ROUNDS = 500;

function check($actual, $expected): void
{
    if ($actual !== $expected) {
        throw new Exception(var_export($actual, true) . ' instead of ' . var_export($expected, true));
    }
}

function usePhpRedis(Redis $redis): void
{
    check($redis->set('php:key', 'value', ['nx', 'ex' => 60]), true);
    check($redis->ttl('php:key'), 60);
    check($redis->hMSet('php:hash', ['a' => 1, 'b' => 2]), true);
    check($redis->hGetAll('php:hash'), ['a' => '1', 'b' => '2']);
    check($redis->multi(Redis::PIPELINE)->incr('php:n')->get('php:n')->exec(), [1, '1']);
    $redis->watch('php:key');
    check($redis->multi()->set('php:key', 'other')->get('php:key')->exec(), [true, 'other']);
    check($redis->eval("return {KEYS[1], ARGV[1] + 1}", ['php:key', 41], 1), ['php:key', 42]);
    check($redis->zAdd('php:ranks', 1.5, 'one', 2, 'two'), 2);
    check($redis->zRange('php:ranks', 0, -1, true), ['one' => 1.5, 'two' => 2.0]);
    check($redis->xAdd('php:stream', '1-1', ['field' => 'value']), '1-1');
    check($redis->xRange('php:stream', '-', '+'), ['1-1' => ['field' => 'value']]);
    check($redis->del('php:key', 'php:hash', 'php:n', 'php:ranks', 'php:stream'), 5);
}

function usePredis(Predis\Client $predis): void
{
    check((string) $predis->set('predis:key', 'value', 'EX', 60, 'NX'), 'OK');
    check($predis->hgetall('predis:none'), []);
    $replies = $predis->pipeline(function ($pipe) {
        $pipe->rpush('predis:list', ['a', 'b']);
        $pipe->lrange('predis:list', 0, -1);
    });
    check($replies, [2, ['a', 'b']]);
    $replies = $predis->transaction(['watch' => 'predis:key', 'cas' => true], function ($transaction) {
        $value = $transaction->get('predis:key');
        $transaction->multi();
        $transaction->append('predis:key', "+$value");
    });
    check($replies, [11]);
    check($predis->eval("return redis.call('GET', KEYS[1])", 1, 'predis:key'), 'value+value');
    check($predis->del(['predis:key', 'predis:list']), 2);
}

$stay = [];
foreach (array_slice($argv, 1) as $port) {
    $redis = new Redis();
    $redis->connect('127.0.0.1', (int) $port);
    $info = $redis->info('everything');
    if ($info['onecopy_node'] === $info['onecopy_primary']) {
        $process = (int) $info['process_id'];
    } else {
        $stay[] = (int) $port;
    }
}
check(count($stay), count($argv) - 2);
$redis = new Redis();
$redis->connect('127.0.0.1', $stay[0]);
$predis = new Predis\Client(['port' => $stay[1], 'read_write_timeout' => 30]);
$redis->flushAll();
usePhpRedis($redis);
usePredis($predis);
for ($round = 1; $round <= ROUNDS; $round++) {
    check($redis->incr('counter'), 2 * $round - 1);
    check($predis->incr('counter'), 2 * $round);
    if ($round === ROUNDS / 2) {
        exec("kill -9 $process");
    }
}
usePhpRedis($redis);
usePredis($predis);
printf(
    "phpredis %s and Predis %s: %d increments, the primary killed half way: each counted once, no error\n",
    phpversion('redis'),
    Predis\Client::VERSION,
    2 * ROUNDS,
);
