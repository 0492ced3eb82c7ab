import psycopg,time,sys
c=psycopg.connect("host=127.0.0.1 port=6543 user=ana password=secret123456 dbname=t1",autocommit=True)
end=time.time()+float(sys.argv[1]); n=0; mx=0; bad=0
vals={}
while time.time()<end:
    t=time.time()
    try:
        for q in ["select product_category, sum(x) from sales group by 1 order by 1","select count(*),sum(dbl) from sales","select product,s from tot order by 1,2","select product_product,measure(x) from sales where product_category='Cat One' group by 1 order by 1"]:
            r=c.execute(q).fetchall(); v=vals.setdefault(q,set()); v.add(str(r))
    except Exception as e: print("ERR",q,e); bad+=1
    mx=max(mx,time.time()-t); n+=1
print("n",n,"max",round(mx,3),"bad",bad,{k:len(v) for k,v in vals.items()})
