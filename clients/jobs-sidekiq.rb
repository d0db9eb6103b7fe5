# Sidekiq with redis-rb, unchanged, while the primary is killed: jobs-sidekiq.rb PORT PORT PORT
#
# Debian has them, in the versions of its release. The process that asks and the one that works are at the nodes
# that stay; half way the primary's process is killed with kill -9. Every job must be done, also one that fails at
# first, one that is to be done later, and those of a bulk. Sidekiq's own fetch promises at most once, and loses a
# job only with the process that does it: how many were done twice is printed.
require "sidekiq"
require "sidekiq/api"
require "tempfile"

Redis.silence_deprecations = true

JOBS = 300

class Work
  include Sidekiq::Worker
  sidekiq_options queue: "work", retry: 3
  sidekiq_retry_in { 0 }

  def perform(number, fails)
    # Where nothing goes astray with it.
    File.open(ENV.fetch("RUNS"), "a") { |runs| runs.write("#{number}\n") }
    raise "as it should, once" if fails && File.readlines(ENV.fetch("RUNS")).count("#{number}\n") == 1

    Sidekiq.redis { |redis| redis.hset("results", number, number * 2) }
  end
end

if ENV["WORKS_AT"]
  Sidekiq.configure_server do |config|
    config.redis = { url: ENV["WORKS_AT"] }
    config.average_scheduled_poll_interval = 1
    config.logger.level = Logger::FATAL
  end
  return
end

def check(actual, expected)
  raise "#{actual.inspect} instead of #{expected.inspect}" unless actual == expected
end

nodes = ARGV.map do |port|
  info = Redis.new(port: port).info("everything")
  { url: "redis://127.0.0.1:#{port}", process: info["process_id"].to_i, leads: info["onecopy_node"] == info["onecopy_primary"] }
end
stay = nodes.reject { |node| node[:leads] }
check(stay.size, nodes.size - 1)
primary = nodes.find { |node| node[:leads] }

# What redis-rb itself is used for.
redis = Redis.new(url: stay[0][:url])
redis.flushall
check(redis.set("key", "value", ex: 60, nx: true), true)
check(redis.pipelined { |pipe| pipe.get("key"); pipe.ttl("key") }, ["value", 60])
check(redis.watch("key") { redis.multi { |multi| multi.set("key", "other"); multi.get("key") } }, %w[OK other])
check(redis.mapped_hmset("hash", "a" => 1, "b" => 2), "OK")
check(redis.hgetall("hash"), { "a" => "1", "b" => "2" })
check(redis.eval("return {KEYS[1], ARGV[1]}", keys: ["k"], argv: ["a"]), %w[k a])
check(redis.scan_each(match: "*").to_a.sort, %w[hash key])

Sidekiq.configure_client do |config|
  config.redis = { url: stay[0][:url] }
  config.logger.level = Logger::FATAL
end
runs = Tempfile.new("runs")
environment = { "WORKS_AT" => stay[1][:url], "RUNS" => runs.path }
worker = Process.spawn(environment, "sidekiq", "-r", File.expand_path(__FILE__), "-q", "work", "-c", "4",
                       out: File::NULL, err: File::NULL)
begin
  (0...JOBS).each do |number|
    Work.perform_async(number, number % 50 == 7)
    Process.kill("KILL", primary[:process]) if number == JOBS / 2
  end
  Work.perform_in(1, JOBS, false)
  Sidekiq::Client.push_bulk("class" => Work, "args" => (1..20).map { |number| [JOBS + number, false] })
  deadline = Time.now + 60
  sleep 0.1 until redis.hlen("results") == JOBS + 21 || Time.now > deadline
  check(redis.hgetall("results").transform_values(&:to_i), (0..JOBS + 20).to_h { |number| [number.to_s, 2 * number] })
  # The last one is counted behind its result.
  sleep 0.1 until Sidekiq::Stats.new.processed >= JOBS + 21 || Time.now > deadline
  stats = Sidekiq::Stats.new
  check([stats.failed, stats.enqueued, stats.retry_size, stats.dead_size], [JOBS / 50, 0, 0, 0])
ensure
  Process.kill("TERM", worker)
  Process.wait(worker)
end
# One run for each, and one more for those that fail once.
twice = runs.readlines.tally.count { |line, times| times > (line.to_i % 50 == 7 && line.to_i < JOBS ? 2 : 1) }
puts "Sidekiq #{Sidekiq::VERSION}, redis-rb #{Redis::VERSION}: #{JOBS + 21} jobs, the primary killed half way: all done, #{twice} of them twice"
