// redigo and go-redis, unchanged, while the primary is killed: main PORT PORT PORT
//
// Debian has these libraries, in the versions of its release: GO111MODULE=off GOPATH=/usr/share/gocode go build.
// Counters count up through the nodes that stay; half way the primary's process is killed with kill -9. Who is at
// a node that stays has nothing to do for that: no error, and exactly as much as was acknowledged.
package main

import (
	"fmt"
	"log"
	"os"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "gopkg.in/redis.v5"
)

const rounds = 2000

func must(err error) {
	if err != nil {
		log.Panic(err)
	}
}

func equal(actual, expected interface{}) {
	if fmt.Sprint(actual) != fmt.Sprint(expected) {
		log.Panicf("%v instead of %v", actual, expected)
	}
}

type node struct {
	address string
	process int
	leads   bool
}

func look(port string) node {
	c, err := redis.Dial("tcp", "127.0.0.1:"+port)
	must(err)
	defer c.Close()
	info, err := redis.String(c.Do("INFO", "everything"))
	must(err)
	field := func(name string) string {
		return regexp.MustCompile("(?m)^" + name + ":(.*?)\r?$").FindStringSubmatch(info)[1]
	}
	process, err := strconv.Atoi(field("process_id"))
	must(err)
	return node{"127.0.0.1:" + port, process, field("onecopy_node") == field("onecopy_primary")}
}

// What a program does with redigo: a pool, a pipeline, a transaction with WATCH, a script, a channel.
func useRedigo(pool *redis.Pool) {
	c := pool.Get()
	defer c.Close()
	_, err := c.Do("SET", "redigo:key", "value", "PX", 60000)
	must(err)
	value, err := redis.String(c.Do("GET", "redigo:key"))
	must(err)
	equal(value, "value")
	for at := 0; at < 100; at++ {
		must(c.Send("HSET", "redigo:hash", at, at*at))
	}
	must(c.Flush())
	for at := 0; at < 100; at++ {
		_, err = c.Receive()
		must(err)
	}
	hash, err := redis.IntMap(c.Do("HGETALL", "redigo:hash"))
	must(err)
	equal(hash["9"], 81)
	_, err = c.Do("WATCH", "redigo:key")
	must(err)
	other := pool.Get()
	defer other.Close()
	_, err = other.Do("SET", "redigo:key", "other")
	must(err)
	must(c.Send("MULTI"))
	must(c.Send("SET", "redigo:key", "lost"))
	reply, err := c.Do("EXEC")
	must(err)
	equal(reply, nil)
	script := redis.NewScript(1, `return {redis.call('GET', KEYS[1]), ARGV[1] + 1}`)
	values, err := redis.Values(script.Do(c, "redigo:key", 41))
	must(err)
	equal(string(values[0].([]byte)), "other")
	equal(values[1], 42)
	listener := redis.PubSubConn{Conn: pool.Get()}
	defer listener.Close()
	must(listener.Subscribe("redigo:channel"))
	listener.Receive()
	_, err = c.Do("PUBLISH", "redigo:channel", "hello")
	must(err)
	equal(string(listener.Receive().(redis.Message).Data), "hello")
	_, err = c.Do("DEL", "redigo:key", "redigo:hash")
	must(err)
}

// The same with go-redis.
func useGoRedis(c *goredis.Client) {
	must(c.Set("goredis:key", "value", time.Minute).Err())
	equal(c.Get("goredis:key").Val(), "value")
	equal(c.Get("goredis:missing").Err(), goredis.Nil)
	_, err := c.Pipelined(func(pipe *goredis.Pipeline) error {
		for at := 0; at < 100; at++ {
			pipe.ZAdd("goredis:ranks", goredis.Z{Score: float64(at), Member: at})
		}
		return nil
	})
	must(err)
	equal(c.ZRevRangeWithScores("goredis:ranks", 0, 0).Val(), []goredis.Z{{Score: 99, Member: "99"}})
	err = c.Watch(func(tx *goredis.Tx) error {
		must(c.Set("goredis:key", "other", 0).Err())
		_, err := tx.Pipelined(func(pipe *goredis.Pipeline) error {
			pipe.Set("goredis:key", "lost", 0)
			return nil
		})
		return err
	}, "goredis:key")
	equal(err, goredis.TxFailedErr)
	script := goredis.NewScript(`return {redis.call('GET', KEYS[1]), ARGV[1] + 1}`)
	equal(script.Run(c, []string{"goredis:key"}, 41).Val(), []interface{}{"other", int64(42)})
	must(c.LPush("goredis:list", "one").Err())
	equal(c.BRPop(time.Second, "goredis:none", "goredis:list").Val(), []string{"goredis:list", "one"})
	channel, err := c.Subscribe("goredis:channel")
	must(err)
	defer channel.Close()
	_, err = channel.Receive()
	must(err)
	must(c.Publish("goredis:channel", "hello").Err())
	message, err := channel.ReceiveMessage()
	must(err)
	equal(message.Payload, "hello")
	must(c.Del("goredis:key", "goredis:ranks").Err())
}

func main() {
	var stay []string
	var primary node
	for _, port := range os.Args[1:] {
		if found := look(port); found.leads {
			primary = found
		} else {
			stay = append(stay, found.address)
		}
	}
	equal(len(stay), len(os.Args)-2)
	pool := &redis.Pool{MaxIdle: 8, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", stay[0]) }}
	client := goredis.NewClient(&goredis.Options{Addr: stay[1], ReadTimeout: 30 * time.Second})
	useRedigo(pool)
	useGoRedis(client)

	half := make(chan struct{}, 8)
	var counting sync.WaitGroup
	for at := 0; at < 4; at++ {
		counting.Add(2)
		go func(key string) {
			defer counting.Done()
			c := pool.Get()
			defer c.Close()
			for round := 1; round <= rounds; round++ {
				count, err := redis.Int(c.Do("INCR", key))
				must(err)
				equal(count, round)
				if round == rounds/2 {
					half <- struct{}{}
				}
			}
		}(fmt.Sprintf("redigo:%d", at))
		go func(key string) {
			defer counting.Done()
			for round := 1; round <= rounds; round++ {
				count, err := client.Incr(key).Result()
				must(err)
				equal(count, round)
				if round == rounds/2 {
					half <- struct{}{}
				}
			}
		}(fmt.Sprintf("goredis:%d", at))
	}
	<-half
	must(syscall.Kill(primary.process, syscall.SIGKILL))
	counting.Wait()
	useRedigo(pool)
	useGoRedis(client)
	fmt.Printf("redigo and go-redis 5: %d increments, the primary killed half way: each counted once, no error\n", 8*rounds)
}
