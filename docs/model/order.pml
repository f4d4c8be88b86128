/*
 * The rules of order of the shared log (src/storage/embedded/shared-log/order.ts), as a model for Spin:
 * three instances, two payments, two processors, crashes and pauses anywhere.
 *
 *   spin -a order.pml && gcc -O2 -w -DSAFETY -o pan pan.c && ./pan -m200000
 *
 * The log itself is rule 1: one order, in which each append takes effect at once for all. So an append is one
 * step here, and what an instance knows is as old as its last look. Between looking, appending, reading what
 * became of it and sending lies any time at all: an instance that never goes on is dead, or paused.
 *
 * With -DNO_FENCE, -DNO_FIRST, -DNO_FRESH, -DNO_OWNER, -DNO_PIN, -DNO_PIN_ON_TOP, -DNO_INTENT or
 * -DNO_GENERATION (given to spin -a) one rule is left out: docs/order.md shows what comes of each.
 */
#define INSTANCES 3
#define PAYMENTS 2
#ifndef USED
#define USED 2      /* payments that clients send */
#endif
#ifndef SENDS
#define SENDS 2     /* attempts of the first payment; the other one has one less */
#endif
#ifndef MARKS
#define MARKS 0     /* index marks in one run */
#endif
#ifndef DOORS
#define DOORS 2     /* instances that clients reach with the first payment; one less with the other */
#endif
#ifndef PURGES
#define PURGES 0    /* purges in one run */
#endif
#define NOBODY 3

/* States of a payment. */
#define WAITING 0
#define SENT    1
#define PINNED  2
#define SETTLED 3

/* Where its acceptance is known. */
#define NOWHERE   0
#define IN_TAIL   1 /* the table, and perhaps the index */
#define MARKED    2 /* both, and a mark says so */
#define DROPPED   3 /* the index alone */

/* What an instance is about to do. */
#define IDLE     0
#define LOOKED   1 /* to append an acceptance with an intent */
#define COMPOSED 2 /* to append an intent */
#define GRANTED  3 /* to send */

/* The order: the same for all who have read as far. */
bool lives[INSTANCES];
byte amount[PAYMENTS];
byte known[PAYMENTS];
byte owner[PAYMENTS];
byte state[PAYMENTS];
byte processor[PAYMENTS];

/* The instances. Their amounts differ: 1 of the first, 2 of the others. */
byte job[INSTANCES];
byte subject[INSTANCES];     /* the payment of the job */
byte target[INSTANCES];      /* its processor */
byte lag[INSTANCES];         /* marks since it looked, up to 2 */
bool oldKnowledge[INSTANCES];/* a purge since it looked */
byte believes[INSTANCES];    /* the payments that it takes for its own, a bit each */
byte waits[INSTANCES];       /* attempts on their way from it, a bit each */
byte answer[INSTANCES * PAYMENTS]; /* 1 booked, 2 refused */

/* What cannot be taken back. */
byte underway[PAYMENTS * 2]; /* requests on their way, by payment and processor */
bool booked[PAYMENTS * 2];
byte promised[PAYMENTS];     /* the amount that was answered with 202 */
byte counted[PAYMENTS];      /* settlements that count */

byte sends[PAYMENTS];
byte marks;
byte purges;

#define NAME(i)       ('A' + i)
#define has(set, p)   ((set >> p) & 1)
#define AMOUNT(i)     ((i == 0) -> 1 : 2)
#define isInTable(p)  (known[p] >= IN_TAIL && known[p] <= MARKED)

inline promise(i, p) {
  /* Rule 4, as clients see it. */
  assert(promised[p] == 0 || promised[p] == AMOUNT(i));
  promised[p] = AMOUNT(i)
}

inline ends(i) { /* A fenced instance learns so from its own batch, and is over. */
  job[i] = IDLE; believes[i] = 0; waits[i] = 0
}

inline rest(i) { job[i] = IDLE; subject[i] = 0; target[i] = 0; lag[i] = 0; oldKnowledge[i] = false }

#ifdef NO_FENCE
#define mayAppend(i) true
#else
#define mayAppend(i) lives[i]
#endif

#ifdef NO_FRESH
#define isStale(i) false
#else
#define isStale(i) (lag[i] == 2)
#endif

#ifdef NO_GENERATION
#define isPurged(i) false
#else
#define isPurged(i) oldKnowledge[i]
#endif

#ifdef NO_OWNER
#define isOwner(i, p) true
#else
#define isOwner(i, p) (owner[p] == i)
#endif

/* An intent takes effect: rule 7. */
inline intend(p, q) {
  if
  :: state[p] == WAITING -> state[p] = SENT
#ifndef NO_PIN_ON_TOP
  :: state[p] == SENT -> state[p] = PINNED
#endif
  :: else -> skip
  fi;
  processor[p] = q
}

proctype Instance(byte i) {
  byte p, q;
  do
  /* A client's request: looked up in the log's tail and in the index. */
  :: atomic { job[i] == IDLE && mayAppend(i) ->
      select(p : 0 .. USED - 1);
      if
      :: known[p] == NOWHERE && sends[p] + p < SENDS && i + p < DOORS ->
          rest(i); subject[i] = p; select(q : 0 .. 1); target[i] = q; job[i] = LOOKED;
          printf("%c looks payment %d up and finds nothing\n", NAME(i), p)
      :: else -> skip
      fi; p = 0; q = 0 }

  /* Its acceptance and its intent, in one batch. */
  :: atomic { job[i] == LOOKED ->
      p = subject[i];
      if
      :: !mayAppend(i) -> ends(i); rest(i); printf("%c finds that it is fenced\n", NAME(i))
      :: mayAppend(i) && (isStale(i) || isPurged(i)) -> rest(i); printf("%c has to look again\n", NAME(i))
      :: mayAppend(i) && !isStale(i) && !isPurged(i) ->
          if
#ifndef NO_FIRST
          :: isInTable(p) ->
              if :: amount[p] == AMOUNT(i) -> promise(i, p) :: else -> skip fi;
              rest(i)
          :: !isInTable(p) ->
#else
          :: true ->
#endif
              amount[p] = AMOUNT(i); known[p] = IN_TAIL; owner[p] = i; state[p] = WAITING;
              believes[i] = believes[i] | (1 << p);
              printf("%c appends the acceptance of %d for amount %d, and an intent to processor %d\n", NAME(i), p, AMOUNT(i), target[i]);
              promise(i, p);
              intend(p, target[i]);
              job[i] = GRANTED
          fi
      fi; p = 0 }

  /* The next attempt of a payment that it takes for its own. */
  :: atomic { job[i] == IDLE && believes[i] != 0 ->
      select(p : 0 .. USED - 1);
      if
      :: has(believes[i], p) && !has(waits[i], p) && sends[p] + p < SENDS && state[p] == WAITING ->
          rest(i); subject[i] = p; select(q : 0 .. 1); target[i] = q; job[i] = COMPOSED
      :: has(believes[i], p) && !has(waits[i], p) && sends[p] + p < SENDS &&
          (state[p] == SENT || state[p] == PINNED) ->
          rest(i); subject[i] = p; target[i] = processor[p]; job[i] = COMPOSED
      :: else -> skip
      fi; p = 0; q = 0 }

#ifdef NO_INTENT
  :: atomic { job[i] == COMPOSED -> job[i] = GRANTED }
#else
  :: atomic { job[i] == COMPOSED ->
      p = subject[i];
      if
      :: !mayAppend(i) -> ends(i); rest(i)
      :: mayAppend(i) && (isPurged(i) || !isOwner(i, p) || state[p] == SETTLED) -> rest(i)
      :: mayAppend(i) && !isPurged(i) && isOwner(i, p) && state[p] != SETTLED ->
          /* No intent counts behind a fence. */
          printf("%c appends an intent of payment %d to processor %d\n", NAME(i), p, target[i]);
          assert(lives[i]);
          intend(p, target[i]); job[i] = GRANTED
      fi; p = 0 }
#endif

  /* Sent, whenever that comes to be. */
  :: atomic { job[i] == GRANTED ->
      p = subject[i];
      if
      :: sends[p] + p < SENDS && !oldKnowledge[i] ->
          printf("%c sends payment %d to processor %d\n", NAME(i), p, target[i]);
          underway[p * 2 + target[i]]++; sends[p]++; waits[i] = waits[i] | (1 << p)
      :: else -> skip
      fi;
      rest(i); p = 0 }

  /* The answer: a settlement, or how far the payment is now. */
  :: atomic { job[i] == IDLE && waits[i] != 0 ->
      if
      :: has(waits[i], 0) -> p = 0
      :: has(waits[i], 1) -> p = 1
      fi;
      waits[i] = waits[i] & ~(1 << p);
      if
      :: !mayAppend(i) -> ends(i)
      :: mayAppend(i) && (!has(believes[i], p) || !isOwner(i, p) || state[p] == SETTLED) -> skip
      :: mayAppend(i) && has(believes[i], p) && isOwner(i, p) && state[p] != SETTLED ->
          if
          :: answer[i * PAYMENTS + p] == 1 ->
              printf("%c appends that payment %d is settled\n", NAME(i), p);
              state[p] = SETTLED; counted[p]++;
              /* A settlement counts once, and of what the processor has booked since the last purge. */
              assert(counted[p] == 1 && booked[p * 2 + processor[p]])
          :: answer[i * PAYMENTS + p] == 2 ->
              printf("%c appends that payment %d was refused\n", NAME(i), p);
              if :: state[p] == SENT -> state[p] = WAITING :: else -> skip fi
          :: answer[i * PAYMENTS + p] == 0 -> /* It has waited long enough: nobody knows. */
              printf("%c appends that nobody knows what became of payment %d\n", NAME(i), p);
#ifdef NO_PIN
              state[p] = WAITING
#else
              state[p] = PINNED
#endif
          fi
      fi;
      answer[i * PAYMENTS + p] = 0; p = 0 }

  /* It takes another one for dead, rightly or not, and takes over what that one has. */
  :: atomic { job[i] == IDLE && mayAppend(i) ->
      select(q : 0 .. INSTANCES - 1);
      if
      :: q != i && lives[q] && lives[i] ->
          lives[q] = false;
          printf("%c fences %c\n", NAME(i), NAME(q));
#ifndef NO_FENCE
          /* Nothing that it appends counts any more: what is left of it is a request that it may send already. */
          believes[q] = 0; waits[q] = 0; answer[q * PAYMENTS] = 0; answer[q * PAYMENTS + 1] = 0;
          if :: job[q] != GRANTED -> rest(q) :: else -> skip fi
#endif
      :: q != i && !lives[q] ->
          printf("%c adopts what %c owned\n", NAME(i), NAME(q));
          p = 0;
          do
          :: p < PAYMENTS ->
              if
#ifdef NO_OWNER
              :: known[p] != NOWHERE -> owner[p] = i; believes[i] = believes[i] | (1 << p)
#else
              :: known[p] != NOWHERE && owner[p] == q -> owner[p] = i; believes[i] = believes[i] | (1 << p)
#endif
              :: else -> skip
              fi;
              p++
          :: p == PAYMENTS -> break
          od
      :: else -> skip
      fi; p = 0; q = 0 }
  od
}

/* The index takes in what is there, and says so: the table drops what the last mark but one had. */
proctype Index() {
  byte p;
  do
  :: atomic { marks < MARKS ->
      marks++;
      printf("the index marks what it has\n");
      p = 0;
      do
      :: p < PAYMENTS ->
          if
          :: known[p] == IN_TAIL -> known[p] = MARKED
          :: known[p] == IN_TAIL -> skip /* It stands behind what the mark is about. */
          :: known[p] == MARKED -> known[p] = DROPPED
          :: else -> skip
          fi; p++
      :: p == PAYMENTS -> break
      od;
      p = 0;
      do
      :: p < INSTANCES ->
          if :: job[p] == LOOKED && lag[p] < 2 -> lag[p]++ :: else -> skip fi; p++
      :: p == INSTANCES -> break
      od; p = 0 }
#if PURGES
  :: atomic { purges < PURGES && (known[0] != NOWHERE || known[1] != NOWHERE) ->
      purges++;
      printf("a purge\n");
      p = 0;
      do
      :: p < PAYMENTS ->
          amount[p] = 0; known[p] = NOWHERE; owner[p] = NOBODY; state[p] = WAITING; promised[p] = 0;
          /* What is on its way is let end, and is nobody's business. */
          underway[p * 2] = 0; underway[p * 2 + 1] = 0; booked[p * 2] = false; booked[p * 2 + 1] = false;
          counted[p] = 0; p++
      :: p == PAYMENTS -> break
      od;
      p = 0;
      do
      :: p < INSTANCES ->
          believes[p] = 0;
#ifndef NO_GENERATION
          /* What it says of an attempt from before does not count. */
          waits[p] = 0; answer[p * PAYMENTS] = 0; answer[p * PAYMENTS + 1] = 0;
#endif
          if :: job[p] != IDLE -> oldKnowledge[p] = true :: else -> skip fi; p++
      :: p == INSTANCES -> break
      od; p = 0 }
#endif
  od
}

/* A processor books a request or refuses it; the answer comes back, or is lost. */
proctype Processors() {
  byte p, q, i;
  do
  :: atomic { underway[0] + underway[1] + underway[2] + underway[3] > 0 ->
      select(p : 0 .. USED - 1);
      select(q : 0 .. 1);
      if
      :: underway[p * 2 + q] > 0 ->
          underway[p * 2 + q]--;
          if
          :: booked[p * 2 + q] = true; i = 1;
              printf("processor %d books payment %d\n", q, p);
              /* No payment is settled on both processors. */
              assert(!booked[p * 2] || !booked[p * 2 + 1])
          :: !booked[p * 2 + q] -> i = 2; printf("processor %d refuses payment %d\n", q, p)
          fi;
          if
          :: has(waits[0], p) && answer[p] == 0 -> answer[p] = i
          :: has(waits[1], p) && answer[PAYMENTS + p] == 0 -> answer[PAYMENTS + p] = i
          :: has(waits[2], p) && answer[2 * PAYMENTS + p] == 0 -> answer[2 * PAYMENTS + p] = i
          :: true -> skip
          fi
      :: else -> skip
      fi; p = 0; q = 0; i = 0 }
  od
}

init {
  atomic {
    lives[0] = true; lives[1] = true; lives[2] = true;
    owner[0] = NOBODY; owner[1] = NOBODY;
    run Instance(0); run Instance(1); run Instance(2); run Index(); run Processors()
  }
}
